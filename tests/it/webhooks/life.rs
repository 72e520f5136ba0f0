//! How long webhooks and payloads live, and that a crash loses and doubles none.

use std::collections::HashSet;

use serde_json::{Value, json};
use tablewright_core::Code;
use tablewright_engine::base::changes::Author;
use tablewright_engine::local::Action;

use super::{BASE, DAY, GOODS, LAMP, Rig, base, cells, data, record, wants, with_shop};

#[test]
fn commits_made_while_nobody_looked_are_told_once() {
    with_shop(async |directory, clock| {
        // Written, but the process ends before a payload is made.
        let rig = Rig::open_still(&directory, &clock).await;
        rig.set(GOODS, record(LAMP), json!({"Stock": 99})).await;
        let hook = rig.hook(data()).await;
        rig.set(GOODS, record(LAMP), json!({"Stock": 1})).await;
        rig.crash().await;
        for round in 0..3 {
            let rig = Rig::open(&directory, &clock).await;
            let heard = rig.heard(hook).await;
            assert_eq!(heard.len(), 1 + round, "what was before the webhook is not told: {heard:#?}");
            let lamp = &heard[0]["changedTablesById"][GOODS]["changedRecordsById"][LAMP]["current"];
            assert_eq!(lamp["cellValuesByFieldId"]["fldGStock00000000"], 1);
            assert_eq!(lamp["cellValuesByFieldId"]["fldGWorth00000000"], 40, "worked out cells were noted");
            let numbers: Vec<&Value> = heard.iter().map(|p| &p["baseTransactionNumber"]).collect();
            assert_eq!(numbers, (1..=1 + round).collect::<Vec<_>>());
            rig.crash().await;
            let rig = Rig::open_still(&directory, &clock).await;
            rig.set(GOODS, record(LAMP), json!({"Stock": 2 + round})).await;
            rig.crash().await;
        }
    });
}

#[test]
fn a_follower_that_is_cut_off_anywhere_tells_every_commit_once() {
    with_shop(async |directory, clock| {
        let rig = Rig::open_still(&directory, &clock).await;
        let hook = rig.hook(data()).await;
        let quiet = rig.hook(wants(json!({"dataTypes": ["tableMetadata"]}))).await;
        rig.crash().await;
        let mut names = Vec::new();
        for round in 0..12 {
            let rig = Rig::open(&directory, &clock).await;
            for n in 0..8 {
                let name = format!("r{round} n{n}");
                rig.add(GOODS, json!({"Name": name})).await;
                names.push(name);
                if n == round % 8 {
                    // Give the follower a chance to be anywhere.
                    for _ in 0..round * 3 {
                        tokio::task::yield_now().await;
                    }
                }
            }
            rig.crash().await;
        }
        let rig = Rig::open(&directory, &clock).await;
        let heard = rig.heard(hook).await;
        let told: Vec<String> = heard
            .iter()
            .map(|p| {
                let made = p["changedTablesById"][GOODS]["createdRecordsById"].as_object().unwrap();
                let record = made.values().next().unwrap();
                record["cellValuesByFieldId"]["fldGName000000000"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(told, names, "in order, each once");
        let numbers: Vec<i64> = heard.iter().map(|p| p["baseTransactionNumber"].as_i64().unwrap()).collect();
        assert_eq!(numbers, (1..=names.len() as i64).collect::<Vec<_>>());
        assert!(rig.heard(quiet).await.is_empty());
        rig.close().await;
    });
}

#[test]
fn a_webhook_lives_a_week_unless_it_is_read_or_refreshed() {
    with_shop(async |directory, clock| {
        let rig = Rig::open(&directory, &clock).await;
        let made = rig.create(data(), None).await.unwrap();
        let (id, start) = (made.id, 1_000_000_000_000);
        assert_eq!(made.expires_at, start + 7 * DAY);
        rig.advance(6 * DAY);
        assert_eq!(rig.webhooks.refresh(&mut rig.call().await, base(), id).await.unwrap(), start + 13 * DAY);
        rig.advance(6 * DAY);
        rig.set(GOODS, record(LAMP), json!({"Stock": 1})).await;
        assert_eq!(rig.heard(id).await.len(), 1, "reading counts too: until day 19");
        rig.advance(6 * DAY);
        rig.set(GOODS, record(LAMP), json!({"Stock": 2})).await;
        let listed = rig.webhooks.list(&mut rig.call().await, base()).await.unwrap();
        assert!(listed[0].is_enabled && listed[0].stored.next_cursor == 3);
        // Listing webhooks is not reading payloads: its time is up on day 19.
        rig.advance(2 * DAY);
        let listed = rig.webhooks.list(&mut rig.call().await, base()).await.unwrap();
        assert!(!listed[0].is_enabled, "{listed:?}");
        rig.set(GOODS, record(LAMP), json!({"Stock": 3})).await;
        let page = rig.page(id, 1, 50).await.unwrap();
        assert_eq!(
            (page.payloads.len(), page.cursor),
            (1, 3),
            "the first is older than a week; the third was never made"
        );
        let fault = rig.webhooks.refresh(&mut rig.call().await, base(), id).await.unwrap_err();
        assert!(fault.message.contains("expired"), "{fault}");
        // A week later it is gone.
        rig.advance(6 * DAY);
        assert_eq!(rig.page(id, 1, 50).await.unwrap_err().code, Code::UnknownWebhook);
        assert!(rig.webhooks.list(&mut rig.call().await, base()).await.unwrap().is_empty());
        rig.webhooks.prune().await.unwrap();
        assert!(rig.engine.store().webhooks(None).await.unwrap().is_empty(), "from the store too");
        rig.close().await;
    });
}

#[test]
fn payloads_go_after_a_week_and_numbers_go_on() {
    with_shop(async |directory, clock| {
        let rig = Rig::open(&directory, &clock).await;
        let id = rig.hook(data()).await;
        for stock in 10..15 {
            rig.set(GOODS, record(LAMP), json!({"Stock": stock})).await;
            rig.advance(2 * DAY);
            rig.webhooks.refresh(&mut rig.call().await, base(), id).await.unwrap();
        }
        // Made on days 0, 2, 4, 6, 8; now it is day 10.
        assert_eq!(rig.heard(id).await.len(), 3);
        rig.webhooks.prune().await.unwrap();
        let kept = rig.engine.store().webhook_payloads(id, 1, 0, 100, usize::MAX).await.unwrap();
        let numbers: Vec<i64> = kept.payloads.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [3, 4, 5]);
        let page = rig.page(id, 1, 2).await.unwrap();
        assert_eq!((page.payloads.len(), page.cursor, page.has_more), (2, 5, true));
        let page = rig.page(id, 5, 2).await.unwrap();
        assert_eq!((page.payloads.len(), page.cursor, page.has_more), (1, 6, false));
        let page = rig.page(id, 6, 2).await.unwrap();
        assert_eq!((page.payloads.len(), page.cursor, page.has_more), (0, 6, false));
        let beyond = rig.page(id, 7, 2).await.unwrap();
        assert_eq!((beyond.payloads.len(), beyond.cursor), (0, 7), "an empty page gives the cursor back");
        rig.close().await;
    });
}

#[test]
fn a_base_has_at_most_ten_and_takes_them_with_it() {
    with_shop(async |directory, clock| {
        let rig = Rig::open(&directory, &clock).await;
        let mut ids = HashSet::new();
        for _ in 0..10 {
            ids.insert(rig.hook(data()).await);
        }
        let fault = rig.create(data(), None).await.unwrap_err();
        assert_eq!(fault.code, Code::LimitExceeded, "{fault}");
        let one = *ids.iter().next().unwrap();
        rig.webhooks.delete(&mut rig.call().await, base(), one).await.unwrap();
        assert_eq!(
            rig.webhooks.delete(&mut rig.call().await, base(), one).await.unwrap_err().code,
            Code::UnknownWebhook
        );
        rig.hook(data()).await;
        rig.set(GOODS, record(LAMP), json!({"Stock": 1})).await;
        rig.webhooks.list(&mut rig.call().await, base()).await.unwrap();
        rig.engine.delete(base(), Author::of("test", "test")).await.unwrap();
        let store = rig.engine.store();
        assert!(store.webhooks(None).await.unwrap().is_empty());
        for id in ids {
            assert!(store.webhook_payloads(id, 1, 0, 10, 1_000).await.unwrap().payloads.is_empty());
        }
        assert_eq!(
            rig.webhooks.list(&mut rig.call().await, base()).await.unwrap_err().code,
            Code::UnknownBase
        );
        rig.close().await;
    });
}

#[test]
fn pages_are_bounded_and_hold_what_was_just_acknowledged() {
    with_shop(async |directory, clock| {
        let rig = Rig::open(&directory, &clock).await;
        let id = rig.hook(data()).await;
        for n in 0..60 {
            rig.set(GOODS, record(LAMP), json!({"Stock": 100 + n})).await;
            let page = rig.page(id, n + 1, 50).await.unwrap();
            assert_eq!((page.payloads.len(), page.cursor), (1, n + 2), "commit {n} was acknowledged before");
        }
        let page = rig.page(id, 1, 1_000).await.unwrap();
        assert_eq!((page.payloads.len(), page.cursor, page.has_more), (50, 51, true));
        rig.close().await;
    });
}

#[test]
fn computed_cells_are_noted_only_while_somebody_wants_them() {
    with_shop(async |directory, clock| {
        let rig = Rig::open(&directory, &clock).await;
        let noted = async |stock: i64| {
            let before = *rig.engine.last_change().borrow();
            rig.write(GOODS, Action::Update(vec![(record(LAMP), cells(json!({"Stock": stock})))])).await;
            let log = rig.engine.store().changes(before, 10).await.unwrap();
            log[0].tables.iter().any(|t| !t.computed.is_empty())
        };
        assert!(!noted(50).await);
        let fields = rig.hook(wants(json!({"dataTypes": ["tableFields"]}))).await;
        assert!(!noted(51).await, "a webhook of fields needs none");
        let id = rig.hook(data()).await;
        assert!(noted(52).await);
        rig.webhooks.delete(&mut rig.call().await, base(), id).await.unwrap();
        // Noticed with the next commit.
        rig.set(GOODS, record(LAMP), json!({"Stock": 53})).await;
        rig.heard(fields).await;
        assert!(!noted(54).await);
        assert!(rig.engine.bases().iter().any(|(id, _)| id.to_string() == BASE));
        rig.close().await;
    });
}
