//! Settings from each source, and the ones that are refused.

use super::*;

#[expect(clippy::result_large_err, reason = "the signature is figment's")]
fn jailed(test: impl FnOnce(&mut figment::Jail)) {
    figment::Jail::expect_with(|jail| {
        jail.clear_env();
        test(jail);
        Ok(())
    });
}

fn load() -> Result<Config, ConfigError> {
    Config::load(None, &Overrides::default())
}

#[test]
fn defaults_are_complete_and_valid() {
    jailed(|_| {
        let config = load().unwrap();
        assert_eq!(config.port, 8000);
        assert_eq!(config.bind, ["127.0.0.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(config.database_url, None);
        assert_eq!(config.models_dir, Path::new("./data/models"));
        assert!(config.workers >= 1);
    });
}

#[test]
fn command_line_beats_environment_beats_file() {
    jailed(|jail| {
        jail.create_file(
            "quire.toml",
            "port = 1000\nworkers = 3\nmax_upload_bytes = 5000",
        )
        .unwrap();
        jail.set_env("QUIRE_PORT", "2000");
        jail.set_env("QUIRE_WORKERS", "4");
        let overrides = Overrides {
            port: Some(3000),
            ..Overrides::default()
        };
        let config = Config::load(Some(Path::new("quire.toml")), &overrides).unwrap();
        assert_eq!(
            (config.port, config.workers, config.max_upload_bytes),
            (3000, 4, 5000)
        );
    });
}

#[test]
fn origins_and_redaction_are_shown() {
    jailed(|jail| {
        jail.set_env("DATABASE_URL", "postgres://user:secret@db/quire");
        jail.set_env("QUIRE_WORKERS", "4");
        let shown: Vec<_> = show(
            None,
            &Overrides {
                port: Some(1),
                ..Overrides::default()
            },
        )
        .unwrap();
        let line = |name: &str| shown.iter().find(|s| s.name == name).unwrap().to_string();
        assert_eq!(line("port"), "port = 1  # command line");
        assert_eq!(line("workers"), "workers = 4  # environment");
        assert_eq!(line("log"), "log = \"info\"  # default");
        assert!(
            line("database_url").contains("postgres://user:***@db/quire"),
            "{}",
            line("database_url")
        );
    });
}

#[test]
fn lists_come_from_one_variable() {
    jailed(|jail| {
        jail.set_env("QUIRE_BIND", "127.0.0.1,::1");
        jail.set_env("QUIRE_OCR_LANGUAGES", "eng,deu");
        let config = load().unwrap();
        assert_eq!(config.bind.len(), 2);
        assert_eq!(config.ocr_languages, ["eng", "deu"]);
    });
}

#[test]
fn bad_settings_are_refused_by_name() {
    let cases = [
        ("QUIRE_PORT", "eighty", "port"),
        ("QUIRE_PORT", "70000", "port"),
        ("QUIRE_PRT", "8000", "prt"),
        ("QUIRE_BIND", "0.0.0.0", "bind"),
        ("QUIRE_BIND", "localhost", "bind"),
        ("QUIRE_MAX_UPLOAD_BYTES", "12", "max_upload_bytes"),
        ("QUIRE_WORKERS", "100000", "workers"),
        ("QUIRE_OWNER_SLOTS", "-1", "owner_slots"),
        ("QUIRE_JOB_DEADLINE_SECONDS", "0", "job_deadline_seconds"),
        ("QUIRE_OCR_LANGUAGES", "eng;rm", "ocr_languages"),
        ("QUIRE_CORS_ORIGINS", "example.com", "cors_origins"),
        ("QUIRE_ALLOWED_HOSTS", "https://a.example", "allowed_hosts"),
        ("QUIRE_LOG", "quire=loud", "log"),
        ("QUIRE_LOG_FORMAT", "xml", "log_format"),
        ("QUIRE_RETENTION_DAYS", "forever", "retention_days"),
        ("QUIRE_RETENTION_DAYS", "99999", "retention_days"),
        ("QUIRE_EVENT_RETENTION_DAYS", "0", "event_retention_days"),
        ("DATABASE_URL", "mysql://x", "database_url"),
    ];
    for (variable, value, name) in cases {
        jailed(|jail| {
            jail.set_env(variable, value);
            let error = load().unwrap_err().to_string();
            assert!(
                error.contains(&format!("`{name}")),
                "{variable}={value}: {error}"
            );
        });
    }
}
