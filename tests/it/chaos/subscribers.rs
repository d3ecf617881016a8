//! Clients that listen: to everything and to single jobs, with a cursor and without, coming back whenever they are cut off.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use quire_store::Owner;
use serde_json::{Value, json};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::frames;
use crate::support::history::{Frame, View, ViewKind};

/// Before a client that was cut off comes back.
const COME_BACK: Duration = Duration::from_millis(100);
/// Cursors that one `hello` may hold.
const MOST_CURSORS: usize = 256;

/// All listening clients of a run.
pub struct Subscribers {
    bases: Arc<[String]>,
    views: Arc<Mutex<Vec<View>>>,
    /// Those that listen to everything: the jobs that each knows to be over.
    ended: Vec<Arc<Mutex<HashSet<Uuid>>>>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl Subscribers {
    /// Starts one listener of each kind at each of `bases`.
    pub fn start(bases: &[String]) -> Self {
        let mut subscribers = Self {
            bases: bases.into(),
            views: Arc::default(),
            ended: Vec::new(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        };
        for base in bases {
            for wants in [Wants::AllByCursor, Wants::AllLegacy] {
                let listener = Listener::new(wants, std::slice::from_ref(base));
                subscribers.ended.push(Arc::clone(&listener.ended));
                subscribers.spawn(listener);
            }
        }
        subscribers
    }

    /// Follows one job from its beginning to its end.
    pub fn follow(&self, job: Uuid, as_stream: bool) {
        let wants = if as_stream {
            Wants::Stream(job)
        } else {
            Wants::Job(job)
        };
        self.spawn(Listener::new(wants, &self.bases));
    }

    /// Whether everybody who listens to everything knows that these jobs are over.
    pub fn know_the_end_of(&self, jobs: &HashSet<Uuid>) -> bool {
        self.ended
            .iter()
            .all(|ended| ended.lock().is_superset(jobs))
    }

    /// How many listeners of single jobs are not done.
    pub fn still_following(&self) -> usize {
        self.tasks.len().saturating_sub(self.ended.len())
    }

    /// What everybody saw. Who listens to everything must have heard of each of `jobs`.
    pub async fn finish(self, jobs: &HashSet<Uuid>) -> Vec<View> {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let mut views = std::mem::take(&mut *self.views.lock());
        let everything: HashSet<(String, ViewKind)> = views
            .iter()
            .filter(|view| view.subscriber.starts_with("all "))
            .map(|view| (view.subscriber.clone(), view.kind))
            .collect();
        for (subscriber, kind) in everything {
            let heard: HashSet<Uuid> = views
                .iter()
                .filter(|view| view.subscriber == subscriber)
                .map(|view| view.job)
                .collect();
            let missed = jobs.difference(&heard);
            views.extend(missed.map(|job| view(&subscriber, kind, *job, Vec::new())));
        }
        views
    }

    fn spawn(&self, listener: Listener) {
        let (views, closing) = (Arc::clone(&self.views), self.closing.clone());
        self.tasks.spawn(async move {
            let seen = listener.run(closing).await;
            views.lock().extend(seen);
        });
    }
}

/// What a listener asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    AllByCursor,
    AllLegacy,
    Job(Uuid),
    Stream(Uuid),
}

struct Listener {
    wants: Wants,
    bases: Arc<[String]>,
    connection: u32,
    frames: HashMap<Uuid, Vec<Frame>>,
    cursors: HashMap<Uuid, i64>,
    /// In the order of their ends.
    recent: Vec<Uuid>,
    ended: Arc<Mutex<HashSet<Uuid>>>,
}

impl Listener {
    fn new(wants: Wants, bases: &[String]) -> Self {
        Self {
            wants,
            bases: bases.into(),
            connection: 0,
            frames: HashMap::new(),
            cursors: HashMap::new(),
            recent: Vec::new(),
            ended: Arc::default(),
        }
    }

    async fn run(mut self, closing: CancellationToken) -> Vec<View> {
        closing
            .run_until_cancelled_owned(async {
                while !self.is_done() {
                    // However the connection ended, the client comes back with its cursor.
                    let _ = self.connect().await;
                    self.connection += 1;
                    if !self.is_done() {
                        tokio::time::sleep(COME_BACK).await;
                    }
                }
            })
            .await;
        let (name, kind) = match self.wants {
            Wants::AllByCursor => (
                format!("all by cursor at {}", self.bases[0]),
                ViewKind::Cursor,
            ),
            Wants::AllLegacy => (format!("all legacy at {}", self.bases[0]), ViewKind::Legacy),
            Wants::Job(_) => ("follower".to_owned(), ViewKind::Cursor),
            Wants::Stream(_) => ("event stream".to_owned(), ViewKind::Cursor),
        };
        if let Wants::Job(job) | Wants::Stream(job) = self.wants {
            self.frames.entry(job).or_default();
        }
        self.frames
            .into_iter()
            .map(|(job, frames)| view(&name, kind, job, frames))
            .collect()
    }

    fn is_done(&self) -> bool {
        match self.wants {
            Wants::AllByCursor | Wants::AllLegacy => false,
            Wants::Job(job) | Wants::Stream(job) => self.ended.lock().contains(&job),
        }
    }

    async fn connect(&mut self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let base = self.bases[self.connection as usize % self.bases.len()].clone();
        match self.wants {
            Wants::Stream(job) => self.stream(&base, job).await?,
            Wants::AllByCursor | Wants::AllLegacy | Wants::Job(_) => self.socket(&base).await?,
        }
        Ok(())
    }

    async fn socket(&mut self, base: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let mut request = format!("{}/ws", base.replace("http", "ws")).into_client_request()?;
        if let Some(hello) = self.hello() {
            request
                .headers_mut()
                .insert("Sec-WebSocket-Protocol", "quire.v1".parse()?);
            let (mut socket, _) = connect_async(request).await?;
            socket.send(Message::text(hello.to_string())).await?;
            self.hear(socket).await;
        } else {
            let (socket, _) = connect_async(request).await?;
            self.hear(socket).await;
        }
        Ok(())
    }

    async fn hear<S>(&mut self, mut socket: S)
    where
        S: futures_util::Stream<Item = Result<Message, tokio_tungstenite::tungstenite::Error>>
            + Unpin,
    {
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else {
                continue;
            };
            // The server could not do what the `hello` asked for: ask again.
            if text.contains(r#""type":"error""#) {
                return;
            }
            self.note(&text);
            if self.is_done() {
                return;
            }
        }
    }

    /// `None`: the upload contract has nothing to say.
    fn hello(&mut self) -> Option<Value> {
        let topics = match self.wants {
            Wants::AllLegacy | Wants::Stream(_) => return None,
            Wants::AllByCursor => vec!["jobs".to_owned()],
            Wants::Job(job) => vec![format!("job:{job}")],
        };
        let ended = self.ended.lock();
        let running: Vec<Uuid> = self
            .cursors
            .keys()
            .filter(|job| !ended.contains(*job))
            .copied()
            .collect();
        // More than may be asked for: of these the client forgets what it had and hears it again.
        for job in running.iter().skip(MOST_CURSORS) {
            self.cursors.remove(job);
            self.frames.remove(job);
        }
        let cursors: HashMap<String, i64> = running
            .iter()
            .chain(self.recent.iter().rev())
            .take(MOST_CURSORS)
            .map(|job| (job.to_string(), self.cursors[job]))
            .collect();
        Some(json!({"type": "hello", "topics": topics, "since": {"jobs": cursors}}))
    }

    async fn stream(&mut self, base: &str, job: Uuid) -> Result<(), reqwest::Error> {
        let mut request = reqwest::Client::new().get(format!("{base}/api/jobs/{job}/events"));
        if let Some(cursor) = self.cursors.get(&job) {
            request = request.header("Last-Event-ID", cursor.to_string());
        }
        let response = request.send().await?;
        if response.status() != reqwest::StatusCode::OK {
            return Ok(());
        }
        let mut bytes = response.bytes_stream();
        let mut text = String::new();
        while let Some(piece) = bytes.next().await {
            text.push_str(&String::from_utf8_lossy(&piece?));
            while let Some((event, rest)) = text.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                let data = data.map(str::to_owned);
                text = rest.to_owned();
                if let Some(data) = data {
                    self.note(&data);
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, text: &str) {
        let Some(told) = frames::read(text) else {
            return;
        };
        let (job, seq, is_end) = (told.job, told.seq, told.is_end());
        self.frames.entry(job).or_default().push(Frame {
            connection: self.connection,
            seq,
            kind: told.kind,
        });
        if let Some(seq) = seq {
            let cursor = self.cursors.entry(job).or_insert(seq);
            *cursor = seq.max(*cursor);
        }
        if is_end && self.ended.lock().insert(job) {
            self.recent.push(job);
        }
    }
}

fn view(subscriber: &str, kind: ViewKind, job: Uuid, frames: Vec<Frame>) -> View {
    View {
        subscriber: subscriber.to_owned(),
        kind,
        owner: Owner::LOCAL.0,
        job,
        from_start: !subscriber.starts_with("all "),
        frames,
        stayed: true,
    }
}
