//! Long calls: what is to be done, which parts are done, and the answer.

use serde_json::Value;

use super::upstream_writes;
use super::write::Tx;
use super::{Error, Store};

/// A task as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTask {
    /// Its id.
    pub id: String,
    /// Who asked for it.
    pub principal: String,
    /// What they could do, as JSON.
    pub rights: Value,
    /// The tool that was called.
    pub tool: String,
    /// How it stands.
    pub status: Status,
    /// For people and models.
    pub message: String,
    /// What is to be done, as JSON.
    pub input: Value,
    /// The answer, once there is one.
    pub result: Option<Value>,
    /// When it was asked for, in milliseconds since the epoch.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
}

/// How a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Under way, or waiting for a restart to go on.
    Working,
    /// There is an answer.
    Completed,
    /// Something of ours went wrong.
    Failed,
    /// Stopped by its caller.
    Cancelled,
}

impl Status {
    /// The word it is kept as.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Working, Self::Completed, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

/// A part of a task that is done with a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskPart {
    /// The task.
    pub task: String,
    /// Which part, from 0.
    pub part: u32,
}

type Raw = (String, String, String, String, String, String, String, Option<String>, i64, i64);

fn read(raw: Raw) -> Result<StoredTask, Error> {
    let (id, principal, rights, tool, status, message, input, result, created_at, updated_at) = raw;
    let damaged = |reason: String| Error::Damaged { place: format!("task of {principal}"), reason };
    let json = |text: &str| serde_json::from_str(text).map_err(|e| damaged(e.to_string()));
    Ok(StoredTask {
        status: Status::parse(&status).ok_or_else(|| damaged(format!("status {status:?}")))?,
        rights: json(&rights)?,
        input: json(&input)?,
        result: result.as_deref().map(json).transpose()?,
        id,
        principal,
        tool,
        message,
        created_at,
        updated_at,
    })
}

const COLUMNS: &str = "id, principal, rights, tool, status, message, input, result, created_at, updated_at";

impl Store {
    /// Keeps a new task; it is on disk when this answers.
    pub async fn add_task(&self, task: &StoredTask) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO tasks (id, principal, rights, tool, status, message, input, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(&task.id)
        .bind(&task.principal)
        .bind(task.rights.to_string())
        .bind(&task.tool)
        .bind(task.status.as_str())
        .bind(&task.message)
        .bind(task.input.to_string())
        .bind(task.created_at)
        .bind(task.updated_at)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The task with this id.
    pub async fn task(&self, id: &str) -> Result<Option<StoredTask>, Error> {
        let query = format!("SELECT {COLUMNS} FROM tasks WHERE id = $1");
        let raw: Option<Raw> =
            sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(id).fetch_optional(&self.pool).await?;
        raw.map(read).transpose()
    }

    /// The tasks that are under way, oldest first.
    pub async fn working_tasks(&self) -> Result<Vec<StoredTask>, Error> {
        let query = format!("SELECT {COLUMNS} FROM tasks WHERE status = 'working' ORDER BY created_at");
        let raw: Vec<Raw> = sqlx::query_as(sqlx::AssertSqlSafe(query)).fetch_all(&self.pool).await?;
        raw.into_iter().map(read).collect()
    }

    /// Ends a task that is under way: how, with which words and answer. What was to be done and its
    /// parts are dropped.
    pub async fn end_task(
        &self,
        id: &str,
        status: Status,
        message: &str,
        result: Option<&Value>,
        at: i64,
    ) -> Result<(), Error> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query(
            "UPDATE tasks SET status = $2, message = $3, result = $4, updated_at = $5, input = 'null'
             WHERE id = $1 AND status = 'working'",
        )
        .bind(id)
        .bind(status.as_str())
        .bind(message)
        .bind(result.map(Value::to_string))
        .bind(at)
        .execute(&mut *tx)
        .await?;
        sqlx::query("DELETE FROM task_parts WHERE task = $1").bind(id).execute(&mut *tx).await?;
        upstream_writes::forget_task(&mut tx, id).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The outcomes of the parts that are done, in order.
    pub async fn task_parts(&self, id: &str) -> Result<Vec<Value>, Error> {
        let rows: Vec<(String,)> =
            sqlx::query_as("SELECT outcome FROM task_parts WHERE task = $1 ORDER BY part")
                .bind(id)
                .fetch_all(&self.pool)
                .await?;
        rows.iter()
            .map(|(text,)| {
                serde_json::from_str(text)
                    .map_err(|e| Error::Damaged { place: "parts of a task".into(), reason: e.to_string() })
            })
            .collect()
    }

    /// Drops ended tasks that were asked for before this time.
    pub async fn prune_tasks(&self, before: i64) -> Result<(), Error> {
        sqlx::query("DELETE FROM tasks WHERE created_at < $1 AND status <> 'working'")
            .bind(before)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

/// Notes a part as done, with the commit that did it; a part is never done twice.
pub(super) async fn add_part(tx: &mut Tx, part: &TaskPart, outcome: &Value) -> Result<(), Error> {
    sqlx::query("INSERT INTO task_parts (task, part, outcome) VALUES ($1, $2, $3)")
        .bind(&part.task)
        .bind(i64::from(part.part))
        .bind(outcome.to_string())
        .execute(&mut **tx)
        .await?;
    Ok(())
}
