//! Our own gateway as Airtable, with Airtable's limits.

use std::sync::Arc;

use serde_json::{Value, json};
use tablewright_core::clock::HeldClock;
use tablewright_core::model::{BaseId, FieldId};
use tablewright_core::secret::Secret;
use tablewright_engine::airtable::{Ask, BoxFuture, Credentials, Error, ListQuery, Options, Session};

use super::{NOW, ask, client_at};
use crate::support::{Data, HttpServer, serve_http};

const SHOP: &str = "appShop0000000000";
const GOODS: &str = "tblGoods000000000";

struct Bearer(String);

impl Credentials for Bearer {
    fn bearer(&self) -> BoxFuture<'_, Result<Secret, Error>> {
        Box::pin(async { Ok(Secret::new(self.0.clone())) })
    }

    fn renew<'a>(&'a self, refused: &'a Secret) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(async { Ok(refused.clone()) })
    }
}

struct Gateway {
    server: HttpServer,
    _data: Data,
    directory: tempfile::TempDir,
    session: Session,
}

async fn gateway(data: Data, args: &[&str]) -> Gateway {
    let server = serve_http(&data, args);
    let options = Options {
        endpoint_url: format!("http://{}", server.address),
        // A single refusal would end the test.
        patience_seconds: 25,
        ..Options::default()
    };
    let directory = tempfile::tempdir().unwrap();
    let airtable = client_at(&options, &directory, Arc::new(HeldClock::at(NOW))).await;
    let session = airtable.session("me", Arc::new(Bearer(server.token.clone())));
    Gateway { server, _data: data, directory, session }
}

fn shop() -> BaseId {
    SHOP.parse().unwrap()
}

/// A base file with this many goods.
fn file(records: usize) -> Value {
    let text = std::fs::read_to_string(crate::support::root().join("tests/fixtures/shop.json")).unwrap();
    let mut file: Value = serde_json::from_str(&text).unwrap();
    let made = (0..records).map(|n| {
        let fields = json!({"Name": format!("n{n}")});
        json!({"id": format!("rec{n:014}"), "createdTime": "2026-01-01T00:00:00.000Z", "fields": fields})
    });
    file["records"] = json!({ GOODS: made.collect::<Vec<_>>() });
    file["comments"] = json!({});
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_records_are_listed_without_one_refusal() {
    let data = Data::new();
    let path = data.path().join("goods.json");
    std::fs::write(&path, file(1_000).to_string()).unwrap();
    data.import(&path);
    let gateway = gateway(data, &["--emulate-limits"]).await;
    // Three at once, so that the way to the server is as uneven as it gets here.
    let lists = (0..3).map(|n| {
        let session = gateway.session.clone();
        async move {
            let (who, mut offset, mut found) = (Ask::sync(format!("list {n}")), None, Vec::new());
            loop {
                let query = ListQuery { offset, page_size: [100, 50, 50][n], ..ListQuery::default() };
                let page = session.list(&who, shop(), GOODS, &query).await.unwrap().value;
                found.extend(page.records.into_iter().map(|record| record.id));
                offset = page.offset;
                if offset.is_none() {
                    return found;
                }
            }
        }
    });
    for found in futures_util::future::join_all(lists).await {
        assert_eq!(found.len(), 1_000);
        assert_eq!(found.into_iter().collect::<std::collections::HashSet<_>>().len(), 1_000);
    }
    let store =
        tablewright_engine::Store::open(&gateway.directory.path().join("tablewright.db")).await.unwrap();
    assert_eq!(store.penalties(0).await.unwrap(), [], "the server refused one as too many");
    assert!(gateway.server.address.starts_with("127.0.0.1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_schemas_comments_and_webhooks_go_there_and_back() {
    let gateway = gateway(Data::with_shop(), &["--allow-write", "--allow-delete", "--allow-schema"]).await;
    let s = &gateway.session;
    let who = s.whoami(&ask()).await.unwrap();
    assert!(who.server_time.is_some());
    let bases = s.bases(&ask()).await.unwrap();
    assert_eq!(bases.iter().map(|b| b.id).collect::<Vec<_>>(), [shop()]);
    let tables = s.schema(&ask(), shop()).await.unwrap().value;
    let goods = tables.iter().find(|t| t.id.to_string() == GOODS).unwrap();
    let name: FieldId = goods.primary_field_id;
    let cells = |text: &str| serde_json::Map::from_iter([(name.to_string(), Value::from(text))]);
    let turn = async || s.permit(&ask(), Some(shop())).await.unwrap();
    let made =
        s.create(turn().await, &ask(), shop(), GOODS, &[cells("a"), cells("b")], false).await.unwrap().value;
    assert_eq!(made.len(), 2);
    let (a, b) = (made[0].id, made[1].id);
    let changed =
        s.update(turn().await, &ask(), shop(), GOODS, &[(a, cells("c"))], false, false).await.unwrap();
    assert_eq!(changed.value[0].fields[&name.to_string()], "c");
    let merge = [(None, cells("b")), (None, cells("d"))];
    let on = [name.to_string()];
    let merged =
        s.upsert(turn().await, &ask(), shop(), GOODS, &on, &merge, false, false).await.unwrap().value;
    assert_eq!((merged.updated, merged.created.len()), (vec![b], 1));
    assert_eq!(s.get(&ask(), shop(), GOODS, a).await.unwrap().value.created, made[0].created);
    let comment = s.create_comment(&ask(), shop(), GOODS, a, "hello", None).await.unwrap().value;
    let page = s.list_comments(&ask(), shop(), GOODS, a, None).await.unwrap().value;
    assert_eq!((page.comments[0].id, page.offset), (comment.id, None));
    s.update_comment(&ask(), shop(), GOODS, a, comment.id, "bye").await.unwrap();
    s.delete_comment(&ask(), shop(), GOODS, a, comment.id).await.unwrap();
    let field = s
        .create_field(
            &ask(),
            shop(),
            goods.id,
            &json!({"name": "More", "type": "number", "options": {"precision": 0}}),
        )
        .await
        .unwrap()
        .value;
    let renamed =
        s.update_field(&ask(), shop(), goods.id, field.id, &json!({"name": "Less"})).await.unwrap().value;
    assert_eq!(renamed.name, "Less");
    let specification = json!({"options": {"filters": {"dataTypes": ["tableData"]}}});
    let hook = s.create_webhook(&ask(), shop(), None, &specification).await.unwrap().value;
    let gone = s.delete(turn().await, &ask(), shop(), GOODS, &[a, b]).await.unwrap().value;
    assert_eq!(gone, [a, b]);
    let missing = s.delete(turn().await, &ask(), shop(), GOODS, &[a, b]).await.unwrap_err();
    assert!(
        matches!(&missing, Error::Refused(refused) if refused.kind == "ROW_DOES_NOT_EXIST" || refused.status == 403 || refused.status == 404),
        "{missing:?}"
    );
    let payloads = loop {
        let page = s.payloads(&ask(), shop(), hook.id, 1).await.unwrap().value;
        if !page.payloads.is_empty() {
            break page;
        }
    };
    assert_eq!(payloads.payloads[0].touched()[&goods.id].destroyed, [a, b]);
    assert_eq!(payloads.cursor, 2);
    assert!(s.refresh_webhook(&ask(), shop(), hook.id).await.unwrap().value.is_some());
    s.enable_webhook(&ask(), shop(), hook.id, false).await.unwrap();
    s.delete_webhook(&ask(), shop(), hook.id).await.unwrap();
    assert_eq!(s.list_webhooks(&ask(), shop()).await.unwrap().value, []);
}
