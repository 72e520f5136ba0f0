//! Schema versions, embedded.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{SqlStr, SqlitePool};

use super::Error;

const STEPS: &[(i64, &str, &str)] = &[
    (1, "init", include_str!("../../../schemas/sql/sqlite/0001_init.sql")),
    (2, "schema_changes", include_str!("../../../schemas/sql/sqlite/0002_schema_changes.sql")),
    (3, "attachments", include_str!("../../../schemas/sql/sqlite/0003_attachments.sql")),
    (4, "webhooks", include_str!("../../../schemas/sql/sqlite/0004_webhooks.sql")),
    (5, "tasks", include_str!("../../../schemas/sql/sqlite/0005_tasks.sql")),
    (6, "cloud", include_str!("../../../schemas/sql/sqlite/0006_cloud.sql")),
    (7, "careful", include_str!("../../../schemas/sql/sqlite/0007_careful.sql")),
    (8, "budgets", include_str!("../../../schemas/sql/sqlite/0008_budgets.sql")),
    (10, "policies", include_str!("../../../schemas/sql/sqlite/0010_policies.sql")),
    (11, "directory", include_str!("../../../schemas/sql/sqlite/0011_directory.sql")),
    (12, "member_logins", include_str!("../../../schemas/sql/sqlite/0012_member_logins.sql")),
];

/// Brings the schema up to date, or says that a newer program has been here.
pub(super) async fn run(pool: &SqlitePool, shown: &str) -> Result<(), Error> {
    let known = STEPS.last().map_or(0, |step| step.0);
    let steps: Vec<Migration> = STEPS
        .iter()
        .map(|(version, name, sql)| {
            Migration::new(*version, (*name).into(), MigrationType::Simple, SqlStr::from_static(sql), false)
        })
        .collect();
    let migrator = Migrator { migrations: steps.into(), ..Migrator::DEFAULT };
    match migrator.run(pool).await {
        Ok(()) => Ok(()),
        Err(sqlx::migrate::MigrateError::VersionMissing(found)) => {
            Err(Error::Newer { path: shown.to_owned(), found, known })
        }
        Err(sqlx::migrate::MigrateError::Execute(source)) => Err(Error::Sql(source)),
        Err(other) => Err(Error::Damaged { place: "schema".into(), reason: other.to_string() }),
    }
}
