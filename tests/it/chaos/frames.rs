//! Frames of all three protocols, read from the contract alone.

use serde_json::Value;
use uuid::Uuid;

use crate::support::history::FrameKind;

/// A frame about a job.
pub struct Told {
    /// The job.
    pub job: Uuid,
    /// Its number; the upload contract has none.
    pub seq: Option<i64>,
    /// What it says.
    pub kind: FrameKind,
}

impl Told {
    /// Whether the job is over with it.
    pub fn is_end(&self) -> bool {
        matches!(
            self.kind,
            FrameKind::End { .. } | FrameKind::Resync { ended: true, .. }
        )
    }
}

/// What a frame tells; `None` for those that say something about now and move no cursor.
pub fn read(text: &str) -> Option<Told> {
    let frame: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let string = |name: &str| frame[name].as_str().map(str::to_owned);
    let seq = frame["seq"].as_i64();
    let kind = match frame["type"].as_str()? {
        "job_update" => FrameKind::Progress,
        "ai_chunk" => FrameKind::Chunk {
            offset: frame["offset"].as_u64(),
            text: string("partial").or_else(|| string("chunk"))?,
        },
        "job_completed" => FrameKind::End {
            answer: Some(string("ai_response")?),
        },
        "job_failed" => FrameKind::End { answer: None },
        "restarted" => FrameKind::Void,
        "queue_position" if seq.is_some() => FrameKind::Void,
        "resync" => FrameKind::Resync {
            text: string("partial")?,
            ended: matches!(
                frame["status"].as_str(),
                Some("completed" | "failed" | "cancelled" | "dead")
            ),
        },
        _ => return None,
    };
    let job = frame["job_id"].as_str()?.parse().ok()?;
    Some(Told { job, seq, kind })
}
