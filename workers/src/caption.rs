//! What a picture shows, said by a model while the picture is read.
//!
//! The pixels come from the parser's sandbox, as pictures of pages do. A caption that cannot be had is a warning in the document and no
//! failure of the job.

use quire_extract::{Caption, Document, ParseError, Picture, PictureRequest, Warning};
use quire_models::{CancelFlag, Captioner, ModelError, Pixels};

use crate::failure::Failure;

/// Characters of the longest caption that is kept: one line.
const LONGEST: usize = 300;

/// Describes the picture that `document` is, if it is one. `draw` gives its pixels.
pub(crate) fn add(
    document: &mut Document,
    captioner: &dyn Captioner,
    draw: &mut dyn FnMut(PictureRequest) -> Result<Picture, ParseError>,
    cancel: &CancelFlag,
) -> Result<(), Failure> {
    let media = document.media;
    let Some(image) = &mut document.image else {
        return Ok(());
    };
    let request = PictureRequest {
        media,
        password: None,
        page: 1,
        width: captioner.width(),
    };
    let reason = match draw(request) {
        Ok(picture) => match describe(&picture, captioner, cancel) {
            Ok(caption) => {
                image.caption = caption;
                return Ok(());
            }
            Err(error @ ModelError::Cancelled) => return Err(error.into()),
            Err(error) => error.to_string(),
        },
        Err(error @ ParseError::Cancelled) => return Err(error.into()),
        Err(error) => error.to_string(),
    };
    tracing::warn!(
        model.id = captioner.id(),
        reason,
        "a picture is not described"
    );
    let message = format!("the picture could not be described: {reason}");
    document
        .warnings
        .push(Warning::new("not_described", message));
    Ok(())
}

fn describe(
    picture: &Picture,
    captioner: &dyn Captioner,
    cancel: &CancelFlag,
) -> Result<Option<Caption>, ModelError> {
    let pixels = Pixels {
        width: picture.width as usize,
        height: picture.height as usize,
        rgb: &picture.data,
    };
    let text = captioner.caption(pixels, cancel)?;
    Ok(text.map(|text| Caption {
        text: text
            .chars()
            .filter(|c| !c.is_control())
            .take(LONGEST)
            .collect(),
        model: captioner.id().to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use quire_extract::{ImageInfo, MediaType};

    use super::*;
    use crate::passages::Material;

    /// Says the size of what it sees, or fails.
    struct Sized(Option<&'static str>);

    impl Captioner for Sized {
        fn id(&self) -> &'static str {
            "sized"
        }

        fn width(&self) -> u32 {
            384
        }

        fn caption(
            &self,
            picture: Pixels<'_>,
            cancel: &CancelFlag,
        ) -> Result<Option<String>, ModelError> {
            cancel.check()?;
            match self.0 {
                Some(words) => Ok(Some(format!("{words} of {}\u{1b} px", picture.width))),
                None => Err(ModelError::Inference("it broke".to_owned())),
            }
        }
    }

    fn document(is_image: bool) -> Document {
        let mut document = Document::empty(MediaType::Png);
        document.image = is_image.then(|| ImageInfo {
            width: 900,
            height: 300,
            format: "png".to_owned(),
            color: "rgb8".to_owned(),
            orientation: 1,
            frames: 1,
            exif: std::collections::BTreeMap::default(),
            color_profile: None,
            difference_hash: None,
            caption: None,
        });
        document
    }

    fn described(
        document: &mut Document,
        words: Option<&'static str>,
        drawn: Result<(), ParseError>,
        cancel: &CancelFlag,
    ) -> Result<(), Failure> {
        let mut drawn = Some(drawn);
        let mut draw = |request: PictureRequest| {
            assert_eq!((request.page, request.width), (1, 384));
            drawn.take().expect("drawn once").map(|()| Picture {
                width: 3,
                height: 1,
                data: vec![0; 9],
            })
        };
        add(document, &Sized(words), &mut draw, cancel)
    }

    #[test]
    fn a_picture_is_described_and_an_answer_sees_it() {
        let mut image = document(true);
        described(&mut image, Some("a boat"), Ok(()), &CancelFlag::default()).unwrap();
        let caption = image.image.as_ref().unwrap().caption.clone().unwrap();
        assert_eq!(
            (caption.text.as_str(), caption.model.as_str()),
            ("a boat of 3 px", "sized")
        );
        assert_eq!(
            Material::of(&image).image.unwrap(),
            "PNG image, 900 x 300 pixels, rgb8; it seems to show: a boat of 3 px"
        );
        let mut text = document(false);
        described(&mut text, Some("a boat"), Ok(()), &CancelFlag::default()).unwrap();
        assert_eq!(text, document(false));
    }

    #[test]
    fn a_picture_that_cannot_be_described_is_read_all_the_same() {
        for (words, drawn) in [
            (None, Ok(())),
            (
                Some("a boat"),
                Err(ParseError::Damaged("no pixels".to_owned())),
            ),
        ] {
            let mut image = document(true);
            described(&mut image, words, drawn, &CancelFlag::default()).unwrap();
            assert_eq!(image.image.unwrap().caption, None);
            assert_eq!(image.warnings[0].code, "not_described");
        }
    }

    #[test]
    fn a_job_that_is_stopped_stops_here_too() {
        let cancel = CancelFlag::default();
        cancel.cancel();
        assert!(described(&mut document(true), Some("a boat"), Ok(()), &cancel).is_err());
        let stopped = Err(ParseError::Cancelled);
        assert!(described(&mut document(true), None, stopped, &CancelFlag::default()).is_err());
    }
}
