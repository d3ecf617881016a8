//! A small network whose weights are a formula, in both forms that weights come in.

use std::io::Write as _;

use candle_core::Var;
use candle_nn::VarMap;
use zip::write::SimpleFileOptions;

use super::*;

const CONFIG: &str = r#"{"projection_dim":16,"image_text_hidden_size":16,"text_config":{"vocab_size":30524,"hidden_size":16,
    "encoder_hidden_size":24,"intermediate_size":32,"projection_dim":16,"num_hidden_layers":2,"num_attention_heads":2,
    "max_position_embeddings":64,"hidden_act":"gelu","layer_norm_eps":1e-12,"is_decoder":true},
    "vision_config":{"hidden_size":24,"intermediate_size":32,"projection_dim":16,"num_hidden_layers":2,"num_attention_heads":3,
    "image_size":32,"patch_size":8,"hidden_act":"gelu","layer_norm_eps":1e-5}}"#;
const END_BIAS: &str = "text_decoder.cls.predictions.bias";

/// Numbers that look drawn and are the same everywhere. Without biases and with plain norms what is said depends on what is seen.
fn fill(name: &str, var: &Var, seed: usize) {
    let mut state = seed as u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let is_norm = name.to_lowercase().contains("norm");
    let number = |_| match name.rsplit('.').next() {
        Some("bias") => 0.0,
        Some("weight") if is_norm => 1.0,
        _ => next(),
    };
    let numbers: Vec<f32> = (0..var.elem_count()).map(number).collect();
    let tensor = Tensor::from_vec(numbers, var.shape(), &Device::Cpu).unwrap();
    var.set(&tensor).unwrap();
}

fn variables() -> VarMap {
    let variables = VarMap::new();
    let config: Config = serde_json::from_str(CONFIG).unwrap();
    let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
    BlipForConditionalGeneration::new(&config, builder).unwrap();
    let data = variables.data().lock().unwrap();
    let mut named: Vec<_> = data.iter().collect();
    named.sort_by_key(|(name, _)| name.as_str());
    for (seed, (name, var)) in named.into_iter().enumerate() {
        fill(name, var, seed * 7_919 + 1);
    }
    drop(data);
    variables
}

/// What `torch.save` writes of a dictionary of tensors: a pickle that names storages, and the storages, in a ZIP file.
fn write_pickle(path: &Path, variables: &VarMap) {
    let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut pickle = b"\x80\x02}(".to_vec();
    let text = |out: &mut Vec<u8>, text: &str| {
        out.push(b'X');
        out.extend((text.len() as u32).to_le_bytes());
        out.extend(text.as_bytes());
    };
    let number = |out: &mut Vec<u8>, number: usize| {
        out.push(b'J');
        out.extend((number as u32).to_le_bytes());
    };
    for (key, (name, var)) in variables.data().lock().unwrap().iter().enumerate() {
        text(&mut pickle, name);
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut pickle, "storage");
        pickle.extend(b"ctorch\nFloatStorage\n");
        text(&mut pickle, &key.to_string());
        text(&mut pickle, "cpu");
        number(&mut pickle, var.elem_count());
        pickle.extend(b"tQ");
        number(&mut pickle, 0);
        for list in [var.dims(), var.stride()] {
            pickle.push(b'(');
            for size in list {
                number(&mut pickle, *size);
            }
            pickle.push(b't');
        }
        pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
        zip.start_file(format!("archive/data/{key}"), options)
            .unwrap();
        let numbers = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        zip.write_all(&bytes).unwrap();
    }
    pickle.extend(b"u.");
    zip.start_file("archive/data.pkl", options).unwrap();
    zip.write_all(&pickle).unwrap();
    zip.finish().unwrap();
}

/// A directory without weights.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(CONFIG_FILE), CONFIG).unwrap();
    let words: Vec<String> = (0..30_524).map(|id| format!(r#""w{id}":{id}"#)).collect();
    let tokenizer = format!(
        r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,"pre_tokenizer":null,
        "post_processor":null,"decoder":null,"model":{{"type":"WordLevel","vocab":{{{}}},"unk_token":"w100"}}}}"#,
        words.join(",")
    );
    std::fs::write(dir.path().join(TOKENIZER_FILE), tokenizer).unwrap();
    dir
}

fn safe(variables: &VarMap) -> (tempfile::TempDir, Blip) {
    let dir = folder();
    variables.save(dir.path().join(SAFE_FILE)).unwrap();
    let blip = Blip::open("tiny", dir.path()).unwrap();
    (dir, blip)
}

fn caption(blip: &Blip, shade: u8) -> Option<String> {
    let rgb: Vec<u8> = (0..40 * 30 * 3)
        .map(|at| (at % 251) as u8 ^ shade)
        .collect();
    let picture = Pixels {
        width: 40,
        height: 30,
        rgb: &rgb,
    };
    blip.caption(picture, &CancelFlag::default()).unwrap()
}

#[test]
fn both_forms_of_weights_say_the_same_of_a_picture_again_and_again() {
    let variables = variables();
    let (_dir, blip) = safe(&variables);
    let said = caption(&blip, 0).unwrap();
    assert_eq!(said.split(' ').count(), MOST_TOKENS, "{said}");
    caption(&blip, 90);
    assert_eq!(
        caption(&blip, 0).as_ref(),
        Some(&said),
        "nothing is left of the picture before"
    );
    let dir = folder();
    write_pickle(&dir.path().join(PICKLE_FILE), &variables);
    let blip = Blip::open("tiny", dir.path()).unwrap();
    assert_eq!((caption(&blip, 0), blip.width()), (Some(said), 32));
}

#[test]
fn a_caption_depends_on_the_picture() {
    let (_dir, blip) = safe(&variables());
    let all: std::collections::HashSet<_> =
        (0..8).map(|shade| caption(&blip, shade * 31)).collect();
    assert!(all.len() > 1, "{all:?}");
}

#[test]
fn a_model_that_ends_at_once_says_nothing() {
    let variables = variables();
    let mut bias = vec![0f32; 30_524];
    bias[END as usize] = 1e6;
    let data = variables.data().lock().unwrap();
    data[END_BIAS]
        .set(&Tensor::new(bias, &Device::Cpu).unwrap())
        .unwrap();
    drop(data);
    assert_eq!(caption(&safe(&variables).1, 0), None);
}

#[test]
fn a_raised_flag_and_a_wrong_size_are_errors() {
    let (_dir, blip) = safe(&variables());
    let cancel = CancelFlag::default();
    let wrong = Pixels {
        width: 2,
        height: 2,
        rgb: &[0; 3],
    };
    assert!(matches!(
        blip.caption(wrong, &cancel),
        Err(ModelError::Inference(_))
    ));
    cancel.cancel();
    let picture = Pixels {
        width: 1,
        height: 1,
        rgb: &[0; 3],
    };
    assert!(matches!(
        blip.caption(picture, &cancel),
        Err(ModelError::Cancelled)
    ));
}

#[test]
fn files_that_do_not_fit_together_are_damaged() {
    let (dir, _) = safe(&variables());
    let damaged = || {
        matches!(
            Blip::open("tiny", dir.path()),
            Err(ModelError::Damaged { .. })
        )
    };
    for (from, to) in [
        (r#""image_size":32"#, r#""image_size":64"#),
        (r#""image_size":32"#, r#""image_size":900000"#),
        (r#""patch_size":8"#, r#""patch_size":0"#),
        (r#""num_attention_heads":3"#, r#""num_attention_heads":5"#),
        (r#""vocab_size":30524"#, r#""vocab_size":9"#),
        (r#""intermediate_size":32"#, r#""intermediate_size":33"#),
    ] {
        std::fs::write(dir.path().join(CONFIG_FILE), CONFIG.replacen(from, to, 1)).unwrap();
        assert!(damaged(), "{to}");
    }
    std::fs::write(dir.path().join(CONFIG_FILE), CONFIG).unwrap();
    std::fs::write(dir.path().join(SAFE_FILE), b"no tensors").unwrap();
    assert!(damaged());
    std::fs::remove_file(dir.path().join(SAFE_FILE)).unwrap();
    std::fs::write(dir.path().join(PICKLE_FILE), b"no archive").unwrap();
    assert!(damaged());
}
