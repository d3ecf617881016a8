//! The service with an engine that says what the test wants, when the test wants it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use quire_models::{Answer, AnswerEngine, AnswerRequest, AnswerSink, CancelFlag, ModelError};
use quire_store::{FileStore, testing::TestDb};
use quire_workers::{Engines, WorkerConfig, Workers};
use reqwest::multipart::{Form, Part};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{ClientRequestBuilder, Message},
};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{self, AppState},
    config::{Config, Overrides},
    serve::engines::{Loading, ModelState},
};

/// Longest wait for anything; far beyond what is needed, so that only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the engine does next.
pub(super) enum Cue {
    Say(String),
    Done,
}

struct ScriptedEngine {
    cues: Mutex<Receiver<Cue>>,
}

impl AnswerEngine for ScriptedEngine {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn answer(
        &self,
        _: &AnswerRequest<'_>,
        cancel: &CancelFlag,
        sink: &mut dyn AnswerSink,
    ) -> Result<Answer, ModelError> {
        let (cues, mut text) = (self.cues.lock(), String::new());
        loop {
            match cues.recv_timeout(Duration::from_millis(10)) {
                Ok(Cue::Say(part)) => {
                    sink.chunk(&part);
                    text.push_str(&part);
                }
                Ok(Cue::Done) => break,
                Err(RecvTimeoutError::Timeout) if cancel.is_cancelled() => {
                    return Err(ModelError::Cancelled);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(ModelError::Cancelled),
            }
        }
        let engine = self.name().to_owned();
        Ok(Answer {
            text,
            answered: true,
            citations: Vec::new(),
            engine,
            model: None,
            notes: Vec::new(),
            ..Answer::default()
        })
    }
}

/// A running service.
pub(super) struct Rig {
    pub(super) address: SocketAddr,
    pub(super) shutdown: CancellationToken,
    cues: Sender<Cue>,
    http: reqwest::Client,
    config: Arc<Config>,
    files: FileStore,
    workers: Workers,
    _data: TempDir,
    db: TestDb,
}

impl Rig {
    pub(super) async fn start() -> Self {
        let (db, data) = (TestDb::new().await, TempDir::new().unwrap());
        let overrides = Overrides {
            data_dir: Some(data.path().to_owned()),
            ..Overrides::default()
        };
        let config = Arc::new(Config::load(None, &overrides).unwrap());
        let files = FileStore::open(data.path()).unwrap();
        let (cues, script) = channel();
        let engines = Arc::new(Engines::new(Arc::new(ScriptedEngine {
            cues: Mutex::new(script),
        })));
        let worker = WorkerConfig {
            extract_slots: 1,
            answer_slots: 1,
            parse_program: quire_extract::find_program().unwrap(),
            ocr_languages: vec!["eng".to_owned()],
            require_sandbox: false,
            limits: quire_workers::JobLimits::default(),
        };
        let store = db.store().await;
        let workers = Workers::start(store.clone(), files.clone(), engines, worker)
            .await
            .unwrap();
        let state = AppState::new(
            Arc::clone(&config),
            store,
            files.clone(),
            None,
            Loading::fixed(ModelState::NotInstalled),
        );
        let shutdown = state.shutdown.clone();
        let address = serve(state).await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            address,
            shutdown,
            cues,
            http,
            config,
            files,
            workers,
            _data: data,
            db,
        }
    }

    /// Another process' API on the same database; it has no workers.
    pub(super) async fn second(&self) -> SocketAddr {
        let (config, files) = (Arc::clone(&self.config), self.files.clone());
        let loading = Loading::fixed(ModelState::NotInstalled);
        serve(AppState::new(
            config,
            self.db.store().await,
            files,
            None,
            loading,
        ))
        .await
    }

    pub(super) async fn stop(self) {
        self.shutdown.cancel();
        drop(self.cues);
        self.workers.stop(Duration::ZERO).await;
    }

    /// Tells the engine what to say.
    pub(super) fn say(&self, text: &str) {
        self.cues.send(Cue::Say(text.to_owned())).unwrap();
    }

    /// Lets the engine end its answer.
    pub(super) fn finish(&self) {
        self.cues.send(Cue::Done).unwrap();
    }

    /// Uploads a small table; returns the job's id.
    pub(super) async fn upload(&self) -> String {
        let file = Part::bytes(&b"name,sum\na,1\nb,2\n"[..]).file_name("table.csv");
        let form = Form::new().text("prompt", "What is it?").part("file", file);
        let reply = self
            .http
            .post(format!("http://{}/api/upload", self.address))
            .multipart(form)
            .send()
            .await
            .unwrap();
        let reply: Value = reply.json().await.unwrap();
        reply["data"]["job_id"].as_str().unwrap().to_owned()
    }

    /// Asks for the event stream; returns status and whole body.
    pub(super) async fn stream(&self, job: &str, last: Option<i64>) -> (u16, String) {
        let mut request = self
            .http
            .get(format!("http://{}/api/jobs/{job}/events", self.address));
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let response = timeout(PATIENCE, request.send()).await.unwrap().unwrap();
        let status = response.status().as_u16();
        (
            status,
            timeout(PATIENCE, response.text()).await.unwrap().unwrap(),
        )
    }
}

async fn serve(state: AppState) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app::router(state)).await });
    address
}

/// A client.
pub(super) struct Client {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    pub(super) async fn legacy(address: SocketAddr) -> Self {
        Self {
            stream: connect_async(format!("ws://{address}/ws")).await.unwrap().0,
        }
    }

    pub(super) async fn v1(address: SocketAddr, hello: Value) -> Self {
        let request = ClientRequestBuilder::new(format!("ws://{address}/ws").parse().unwrap())
            .with_sub_protocol("quire.v1");
        let mut client = Self {
            stream: connect_async(request).await.unwrap().0,
        };
        client.send(Message::text(hello.to_string())).await;
        client
    }

    pub(super) async fn send(&mut self, message: Message) {
        self.stream.send(message).await.unwrap();
    }

    /// The next frame.
    pub(super) async fn frame(&mut self) -> Value {
        match self.message().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?} in place of a frame"),
        }
    }

    /// The next frame of that type; others are passed over.
    pub(super) async fn frame_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// Frames up to the job's end.
    pub(super) async fn until_end(&mut self) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            let frame = self.frame().await;
            let end = frame["type"] == "job_completed" || frame["type"] == "job_failed";
            frames.push(frame);
            if end {
                return frames;
            }
        }
    }

    /// The code with which the server closes; frames before it are passed over.
    pub(super) async fn close_code(&mut self) -> u16 {
        loop {
            if let Message::Close(frame) = self.message().await {
                return frame.unwrap().code.into();
            }
        }
    }

    async fn message(&mut self) -> Message {
        loop {
            let message = timeout(PATIENCE, self.stream.next())
                .await
                .expect("nothing came")
                .unwrap()
                .unwrap();
            if !matches!(message, Message::Ping(_) | Message::Pong(_)) {
                return message;
            }
        }
    }
}
