//! Draws pages: a few parser children of the API's own, and the pictures that were drawn last.
//!
//! They are not the workers' children, and there are few of them: however many pages are looked at, no job waits for a picture.
//! The pool is started by the first picture. A client that goes away stops its drawing; who comes when too many wait is sent away.

mod kept;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use quire_extract::{
    CancelFlag, MediaType, ParseError, ParserPool, PictureRequest, PoolConfig, find_program,
};
use quire_store::{FileError, FileStore};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use self::kept::Kept;
use crate::error::ApiError;

/// Pictures that are drawn at a time.
const SLOTS: usize = 2;

/// Pictures that are drawn or waited for; a page of thumbnails fits.
const MOST: usize = 24;

/// Longest time for one picture: people do not wait longer.
const LONGEST: Duration = Duration::from_secs(20);

/// Bytes of pictures that are kept: some hundred thumbnails, or a hundred pages.
const KEPT_BYTES: usize = 48 << 20;

/// What is to be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The file.
    pub sha256: [u8; 32],
    /// What to read it as.
    pub media: MediaType,
    /// From 1.
    pub page: u32,
    /// In pixels.
    pub width: u32,
}

/// Draws pages, each once as long as its picture is kept.
#[derive(Debug)]
pub struct Studio {
    pool: OnceCell<Arc<ParserPool>>,
    /// Places for those who draw and wait; without one a request is refused.
    places: Arc<Semaphore>,
    /// Children at work. A slot is free again when its child is, whatever became of the request.
    slots: Arc<Semaphore>,
    kept: Mutex<Kept>,
    /// Refuse to draw with a degraded sandbox.
    require_sandbox: bool,
}

/// Stops the drawing when the request is dropped.
struct StopWhenDropped(CancelFlag);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Studio {
    /// An idle studio; its children are started by the first picture.
    pub fn new(require_sandbox: bool) -> Self {
        Self {
            pool: OnceCell::new(),
            places: Arc::new(Semaphore::new(MOST)),
            slots: Arc::new(Semaphore::new(SLOTS)),
            kept: Mutex::new(Kept::new(KEPT_BYTES)),
            require_sandbox,
        }
    }

    /// The picture as a PNG file.
    pub async fn png(&self, files: &FileStore, wanted: Wanted) -> Result<Bytes, ApiError> {
        if let Some(png) = self.kept.lock().get(&wanted) {
            return Ok(png);
        }
        let Ok(_place) = self.places.try_acquire() else {
            return Err(ApiError::Overloaded(None));
        };
        let file = files.open_file(&wanted.sha256).await.map_err(missing)?;
        let slot = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(ApiError::internal)?;
        // Somebody else may have waited for the same picture.
        if let Some(png) = self.kept.lock().get(&wanted) {
            return Ok(png);
        }
        let pool = Arc::clone(
            self.pool
                .get_or_try_init(|| start(self.require_sandbox))
                .await?,
        );
        let png = draw(pool, file, wanted, slot).await?;
        self.kept.lock().put(wanted, png.clone());
        Ok(png)
    }
}

async fn draw(
    pool: Arc<ParserPool>,
    file: std::fs::File,
    wanted: Wanted,
    slot: OwnedSemaphorePermit,
) -> Result<Bytes, ApiError> {
    let request = PictureRequest {
        media: wanted.media,
        password: None,
        page: wanted.page,
        width: wanted.width,
    };
    let cancel = CancelFlag::default();
    let _stop = StopWhenDropped(cancel.clone());
    let drawing = tokio::task::spawn_blocking(move || {
        let _slot = slot;
        pool.draw(&file, &request, &cancel)?.to_png()
    });
    let png = drawing.await.map_err(ApiError::internal)?;
    png.map(Bytes::from).map_err(refusal)
}

async fn start(require_sandbox: bool) -> Result<Arc<ParserPool>, ApiError> {
    let starting = tokio::task::spawn_blocking(move || {
        let config = PoolConfig {
            require_sandbox,
            wall: LONGEST,
            idle_progress: LONGEST,
            ..PoolConfig::with_program(find_program()?, SLOTS)
        };
        ParserPool::start(config).map(Arc::new)
    });
    starting.await.map_err(ApiError::internal)?.map_err(refusal)
}

/// What a client is told.
fn refusal(error: ParseError) -> ApiError {
    match error {
        ParseError::PageMissing(_) => ApiError::NotFound("page"),
        ParseError::PasswordNeeded | ParseError::WrongPassword => ApiError::PasswordNeeded,
        ParseError::Unavailable(_) => ApiError::Overloaded(Some(Arc::new(error))),
        ParseError::Io(_) => ApiError::internal(error),
        ParseError::Damaged(_)
        | ParseError::NotSupported(_)
        | ParseError::InvalidQuery(_)
        | ParseError::LimitExceeded(_)
        | ParseError::Timeout
        | ParseError::OutOfMemory
        | ParseError::Crashed(_)
        | ParseError::Cancelled => ApiError::PageFailed(error.to_string()),
    }
}

fn missing(error: FileError) -> ApiError {
    match error {
        FileError::Missing => ApiError::PageFailed("the uploaded file is no longer stored".into()),
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_comes_when_too_many_wait_is_sent_away() {
        let dir = tempfile::tempdir().unwrap();
        let (studio, files) = (Studio::new(false), FileStore::open(dir.path()).unwrap());
        let wanted = Wanted {
            sha256: [0; 32],
            media: MediaType::Pdf,
            page: 1,
            width: 100,
        };
        let all = studio.places.try_acquire_many(MOST as u32).unwrap();
        let refused = studio.png(&files, wanted).await;
        assert!(matches!(refused, Err(ApiError::Overloaded(None))));
        drop(all);
        let missing = studio.png(&files, wanted).await;
        assert!(
            matches!(missing, Err(ApiError::PageFailed(_))),
            "{missing:?}"
        );
    }

    #[test]
    fn a_request_that_is_dropped_stops_its_drawing() {
        let cancel = CancelFlag::default();
        drop(StopWhenDropped(cancel.clone()));
        assert!(cancel.is_cancelled());
    }
}
