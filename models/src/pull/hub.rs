//! The source that most users have: a Hugging Face hub, or a mirror of one.
//!
//! `hf-hub` knows the addresses and the layout of the local cache. It does not do the transfer: its client has no time limits, cannot
//! be cancelled, and appends to a part even when the server starts over from the first byte. No token is sent: the models of our
//! catalog are public.
//!
//! A file that other programs already fetched into the hub's cache is copied from there, also when the hub is switched off.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use hf_hub::api::sync::{ApiBuilder, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use ureq::Agent;
use ureq::http::StatusCode;
use ureq::http::header::{ACCEPT_ENCODING, CONTENT_RANGE, RANGE};

use crate::catalog::FileSpec;
use crate::model_dir::verify_file;

use super::Job;
use super::failure::FetchError;
use super::part::Part;

/// The public hub.
const DEFAULT_ENDPOINT: &str = "https://huggingface.co";
/// A hub that cannot be reached should cost seconds, because another source follows.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for the first line of an answer. The hub takes well below a second.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(15);
/// Silence after which a transfer counts as broken. It is resumed, so impatience costs little.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections used up for one file. Each must bring at least one byte, or we stop earlier.
const MAX_CONNECTIONS: u32 = 5;

/// Where the hub is and whether it may be asked.
#[derive(Clone, Debug)]
pub struct HubOptions {
    /// Address without a slash at the end.
    pub endpoint: String,
    /// Never ask the network; the local cache is still used.
    pub offline: bool,
    /// The cache that the hub's own tools keep on this machine.
    pub cache: Option<PathBuf>,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self {
            endpoint: DEFAULT_ENDPOINT.to_owned(),
            offline: false,
            cache: None,
        }
    }
}

impl HubOptions {
    /// The options that these environment variables ask for. They are those of the hub's own tools.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let home =
            || set("HOME").map(|home| PathBuf::from(home).join(".cache").join("huggingface"));
        let cache = set("HF_HUB_CACHE").map(PathBuf::from);
        let cache = cache.or_else(|| {
            set("HF_HOME")
                .map(PathBuf::from)
                .or_else(home)
                .map(|home| home.join("hub"))
        });
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
        let offline = set("HF_HUB_OFFLINE").is_some_and(|value| {
            ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str())
        });
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            offline,
            cache,
        }
    }
}

/// Fetches the files of the job from one revision of a repository.
pub(super) fn fetch(name: &str, revision: &str, mut job: Job<'_>) -> Result<(), FetchError> {
    let repo = Repo::with_revision(name.to_owned(), RepoType::Model, revision.to_owned());
    let HubOptions {
        endpoint,
        offline,
        cache,
    } = &job.options.hub;
    let snapshot = cache.as_ref().map(|path| {
        Cache::new(path.clone())
            .repo(repo.clone())
            .pointer_path(revision)
    });
    // Only for its addresses. The cache directory it wants is never used; without one it would look for a home directory and panic.
    let api = ApiBuilder::from_cache(Cache::new(job.folder.to_owned()))
        .with_endpoint(endpoint.clone())
        .with_token(None)
        .build();
    let api = api
        .map_err(|error| FetchError::Unreachable {
            url: endpoint.clone(),
            reason: error.to_string(),
        })?
        .repo(repo);
    let hub = Hub {
        api,
        agent: agent(),
        snapshot,
        offline: *offline,
    };
    job.files
        .iter()
        .try_for_each(|file| hub.fetch_file(file, &mut job))
}

fn agent() -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_resolve(Some(CONNECT_TIMEOUT))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(RESPONSE_TIMEOUT))
        .timeout_per_read(Some(READ_TIMEOUT))
        .user_agent(concat!("quire/", env!("CARGO_PKG_VERSION")));
    config.build().into()
}

struct Hub {
    /// Knows the address of each file.
    api: ApiRepo,
    agent: Agent,
    /// Where the local cache has the files of this revision, if it has them.
    snapshot: Option<PathBuf>,
    offline: bool,
}

impl Hub {
    fn fetch_file(&self, file: &FileSpec, job: &mut Job<'_>) -> Result<(), FetchError> {
        let part = Part::new(job.folder, file);
        if self.copy_cached(file, &part, job)? {
            return Ok(());
        }
        if self.offline {
            return Err(FetchError::Offline);
        }
        let resumed = part.length() > 0;
        match self.download(file, &part, job) {
            // The part may be of another version, or of something else altogether.
            Err(FetchError::WrongContent { .. } | FetchError::Unresumable { .. }) if resumed => {
                part.discard()?;
                self.download(file, &part, job)
            }
            outcome => outcome,
        }
    }

    /// Takes the file from the local cache if it is there and right.
    fn copy_cached(
        &self,
        file: &FileSpec,
        part: &Part<'_>,
        job: &mut Job<'_>,
    ) -> Result<bool, FetchError> {
        let cancel = &job.options.cancel;
        let Some(cached) = self
            .snapshot
            .as_ref()
            .map(|snapshot| snapshot.join(&file.name))
        else {
            return Ok(false);
        };
        if verify_file(file, &cached, cancel).is_err() {
            return Ok(false);
        }
        part.discard()?;
        let mut from = File::open(&cached).map_err(FetchError::io(&cached))?;
        part.append(&mut from, cancel, &mut |done| {
            job.report(&file.name, done, file.max_bytes());
        })?;
        part.install(cancel)?;
        Ok(true)
    }

    /// Fills the part, going on after breaks, and installs it.
    fn download(
        &self,
        file: &FileSpec,
        part: &Part<'_>,
        job: &mut Job<'_>,
    ) -> Result<(), FetchError> {
        let mut connections = 1;
        while !file.accepts_length(part.length()) {
            let before = part.length();
            match self.transfer(file, part, job) {
                Err(FetchError::Interrupted { .. })
                    if part.length() > before && connections < MAX_CONNECTIONS =>
                {
                    connections += 1;
                }
                outcome => outcome?,
            }
        }
        part.install(&job.options.cancel)
    }

    /// One connection: asks for what is behind the part.
    fn transfer(
        &self,
        file: &FileSpec,
        part: &Part<'_>,
        job: &mut Job<'_>,
    ) -> Result<(), FetchError> {
        let url = self.api.url(&file.name);
        let start = part.length();
        // Compressed, the bytes would not be those of the catalog.
        let mut request = self.agent.get(&url).header(ACCEPT_ENCODING, "identity");
        if start > 0 {
            request = request.header(RANGE, format!("bytes={start}-"));
        }
        let response = request.call().map_err(|error| FetchError::Unreachable {
            url: url.clone(),
            reason: error.to_string(),
        })?;
        let from_start = response
            .headers()
            .get(CONTENT_RANGE)
            .and_then(|range| range.to_str().ok())
            .and_then(range_start);
        match response.status() {
            StatusCode::PARTIAL_CONTENT if from_start == Some(start) => {}
            StatusCode::OK => part.discard()?,
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err(FetchError::Unresumable {
                    file: file.name.clone(),
                });
            }
            status => {
                return Err(FetchError::Status {
                    url,
                    status: status.as_u16(),
                });
            }
        }
        let mut body = response.into_body().into_reader();
        part.append(&mut body, &job.options.cancel, &mut |done| {
            job.report(&file.name, done, file.max_bytes());
        })
    }
}

/// The first position in `bytes 5-9/10`.
fn range_start(range: &str) -> Option<u64> {
    range
        .strip_prefix("bytes ")?
        .split('-')
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(variables: &[(&str, &str)]) -> HubOptions {
        let find = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        HubOptions::from_lookup(find)
    }

    #[test]
    fn the_environment_decides_as_for_the_hubs_own_tools() {
        let plain = options(&[("HOME", "/home/a"), ("HF_ENDPOINT", "")]);
        assert_eq!(
            (plain.endpoint.as_str(), plain.offline),
            (DEFAULT_ENDPOINT, false)
        );
        assert_eq!(
            plain.cache.unwrap(),
            PathBuf::from("/home/a/.cache/huggingface/hub")
        );
        let all = options(&[
            ("HOME", "/home/a"),
            ("HF_HOME", "/hf"),
            ("HF_ENDPOINT", "http://mirror/"),
            ("HF_HUB_OFFLINE", "true"),
        ]);
        assert_eq!(
            (all.endpoint.as_str(), all.offline),
            ("http://mirror", true)
        );
        assert_eq!(all.cache.unwrap(), PathBuf::from("/hf/hub"));
        assert_eq!(
            options(&[("HF_HUB_CACHE", "/c"), ("HF_HOME", "/hf")])
                .cache
                .unwrap(),
            PathBuf::from("/c")
        );
        let none = options(&[("HF_HUB_OFFLINE", "0")]);
        assert!(!none.offline && none.cache.is_none());
    }

    #[test]
    fn the_start_of_a_range() {
        assert_eq!(range_start("bytes 5-9/10"), Some(5));
        assert_eq!(range_start("bytes */10"), None);
        assert_eq!(range_start("5-9"), None);
    }
}
