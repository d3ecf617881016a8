//! Predefined character maps, for hayro.
//!
//! hayro carries the maps that the specification names. One use of them is not in the specification and yet met: a font whose
//! `/ToUnicode` is the name `Identity-H`, meaning that its codes are Unicode. The map of that name only says which glyph a code
//! selects, so it is replaced by one that says both.

use hayro_interpret::InterpreterSettings;
use hayro_interpret::hayro_cmap::{CMapName, load_embedded};
use std::sync::Arc;

/// Every code is a glyph number and a UTF-16 unit.
const IDENTITY: &[u8] = b"/CMapName /Identity-H def\n\
    1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n\
    1 begincidrange\n<0000> <FFFF> 0\nendcidrange\n\
    1 beginbfrange\n<0000> <FFFF> <0000>\nendbfrange\nendcmap\n";

/// hayro's settings with these maps.
pub(super) fn settings() -> InterpreterSettings {
    InterpreterSettings {
        cmap_resolver: Arc::new(resolve),
        ..InterpreterSettings::default()
    }
}

fn resolve(name: CMapName<'_>) -> Option<&'static [u8]> {
    match name {
        CMapName::IdentityH => Some(IDENTITY),
        other => load_embedded(other),
    }
}

#[cfg(test)]
mod tests {
    use hayro_interpret::hayro_cmap::{BfString, CMap};

    use super::*;

    #[test]
    fn the_identity_map_maps_codes_to_glyphs_and_to_unicode() {
        let map = CMap::parse(resolve(CMapName::IdentityH).unwrap(), resolve).unwrap();
        assert_eq!(map.lookup_cid_code(0x4E00, 2), Some(0x4E00));
        assert_eq!(
            map.lookup_bf_string(0x4E00),
            Some(BfString::Char('\u{4E00}'))
        );
        assert!(resolve(CMapName::from_bytes(b"UniJIS-UTF16-H")).is_some());
    }
}
