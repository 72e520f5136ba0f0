//! What payloads say, and which changes count for whom.

use serde_json::{Value, json};
use tablewright_core::model::{View, ViewId};
use tablewright_engine::local::Action;
use tablewright_engine::local::schema::{NewField, NewTable, SchemaEdit, ViewChange};

use super::{BASE, GOODS, LAMP, MAKERS, Rig, cells, data, record, wants, with_shop};

/// The records of a table in a payload.
fn of<'a>(payload: &'a Value, table: &str, kind: &str) -> &'a Value {
    &payload["changedTablesById"][table][kind]
}

fn values(record: &Value) -> &Value {
    &record["cellValuesByFieldId"]
}

fn new_field(name: &str, type_name: &str, options: Value) -> NewField {
    serde_json::from_value(json!({"name": name, "type": type_name, "options": options})).unwrap()
}

#[test]
fn each_commit_is_one_payload_with_what_it_changed() {
    with_shop(async |directory, clock| {
        let rig = Rig::open(&directory, &clock).await;
        let hook = rig.hook(data()).await;
        let made = rig
            .add(
                GOODS,
                json!({"Name": "Bench", "Price": 3, "Stock": 2, "Colour": "red", "Tags": ["new", "odd"],
                               "Maker": ["recAcme0000000000"]}),
            )
            .await;
        clock.advance(1_500);
        rig.set(GOODS, made, json!({"Stock": null, "Price": 4})).await;
        rig.remove(GOODS, made).await;
        let heard = rig.heard(hook).await;
        assert_eq!(heard.len(), 3, "{heard:#?}");

        assert_eq!(heard[0]["timestamp"], "2001-09-09T01:46:40.000Z");
        assert_eq!(heard[1]["timestamp"], "2001-09-09T01:46:41.500Z");
        let numbers: Vec<&Value> = heard.iter().map(|p| &p["baseTransactionNumber"]).collect();
        assert_eq!(numbers, [1, 2, 3]);
        assert_eq!(heard[0]["payloadFormat"], "v0");
        let meta = &heard[0]["actionMetadata"];
        assert_eq!(meta["source"], "publicApi");
        let user = &meta["sourceMetadata"]["user"];
        assert!(user["id"].as_str().unwrap().starts_with("usr"));
        assert_eq!((&user["name"], &user["permissionLevel"]), (&json!("Ada"), &json!("create")));
        assert!(heard[0].get("createdTablesById").is_none() && heard[0].get("error").is_none());

        let created = &of(&heard[0], GOODS, "createdRecordsById")[made.to_string()];
        assert_eq!(created["createdTime"], "2001-09-09T01:46:40.000Z");
        let cell = |id: &str| &values(created)[id];
        assert_eq!(cell("fldGName000000000"), "Bench");
        assert_eq!(cell("fldGColour0000000"), &json!({"id": "selred00000000000", "name": "red"}));
        assert_eq!(cell("fldGTags000000000")[0], json!({"id": "selnew00000000000", "name": "new"}));
        assert_eq!(cell("fldGTags000000000")[1]["name"], "odd");
        assert_eq!(cell("fldGMaker00000000"), &json!([{"id": "recAcme0000000000", "name": "Acme"}]));
        assert_eq!(cell("fldGNumber0000000"), 5, "numbers given by the table");
        assert_eq!(cell("fldGWorth00000000"), 6, "what is worked out");
        assert!(
            values(created).get("fldGNotes00000000").is_none(),
            "blank cells of new records are left out"
        );
        // The other side of the link is in the same payload.
        let maker = &of(&heard[0], MAKERS, "changedRecordsById")["recAcme0000000000"];
        let goods = &values(&maker["current"])["fldMGoods00000000"];
        assert_eq!(goods[1], json!({"id": made, "name": "Bench"}));

        let changed = &of(&heard[1], GOODS, "changedRecordsById")[made.to_string()];
        let current = values(&changed["current"]);
        assert_eq!((&current["fldGPrice00000000"], &current["fldGStock00000000"]), (&json!(4), &Value::Null));
        assert!(current.get("fldGWorth00000000").is_some(), "the formula that follows: {changed}");
        assert!(current.get("fldGName000000000").is_none() && changed.get("previous").is_none());
        assert!(changed.get("unchanged").is_none());

        assert_eq!(of(&heard[2], GOODS, "destroyedRecordIds"), &json!([made]));
        assert_eq!(
            values(&of(&heard[2], MAKERS, "changedRecordsById")["recAcme0000000000"]["current"])["fldMGoods00000000"],
            json!([{"id": LAMP, "name": "Lamp"}])
        );
        rig.close().await;
    });
}

#[test]
fn earlier_and_unchanged_cells_are_there_when_asked_for() {
    with_shop(async |directory, clock| {
        let rig = Rig::open(&directory, &clock).await;
        let filters = json!({"dataTypes": ["tableData"], "recordChangeScope": GOODS});
        let with = |includes: Value| json!({"options": {"filters": filters, "includes": includes}});
        let previous = rig.hook(with(json!({"includePreviousCellValues": true}))).await;
        let one = rig.hook(with(json!({"includeCellValuesInFieldIds": ["fldGName000000000"]}))).await;
        let all = rig.hook(with(json!({"includeCellValuesInFieldIds": "all"}))).await;
        rig.set(GOODS, record(LAMP), json!({"Colour": "blue", "Stock": 5})).await;
        let lamp = |payloads: &[Value]| of(&payloads[0], GOODS, "changedRecordsById")[LAMP].clone();

        let heard = lamp(&rig.heard(previous).await);
        assert_eq!(values(&heard["current"])["fldGColour0000000"]["name"], "blue");
        assert_eq!(values(&heard["previous"])["fldGColour0000000"]["name"], "green");
        assert_eq!(values(&heard["previous"])["fldGStock00000000"], 3);
        assert_eq!(values(&heard["previous"])["fldGWorth00000000"], 120, "worked out before");
        assert_eq!(values(&heard["current"])["fldGWorth00000000"], 200, "and now");

        let heard = lamp(&rig.heard(one).await);
        assert_eq!(values(&heard["unchanged"]), &json!({"fldGName000000000": "Lamp"}));
        assert!(heard.get("previous").is_none());

        let heard = lamp(&rig.heard(all).await);
        let unchanged = values(&heard["unchanged"]).as_object().unwrap();
        assert!(unchanged.contains_key("fldGTags000000000") && !unchanged.contains_key("fldGStock00000000"));
        assert_eq!(unchanged["fldGMaker00000000"], json!([{"id": "recAcme0000000000", "name": "Acme"}]));
        rig.close().await;
    });
}

#[test]
fn lookups_say_which_record_each_value_is_from() {
    with_shop(async |directory, clock| {
        let rig = Rig::open(&directory, &clock).await;
        let options =
            json!({"recordLinkFieldId": "fldMGoods00000000", "fieldIdInLinkedTable": "fldGColour0000000"});
        let field = new_field("Colours", "multipleLookupValues", options);
        let edited = rig.edit(SchemaEdit::CreateField { table: MAKERS.parse().unwrap(), field }).await;
        let colours = edited.edit.field.unwrap().to_string();
        let hook = rig.hook(wants(json!({"dataTypes": ["tableData"], "recordChangeScope": MAKERS}))).await;
        rig.set(GOODS, record(LAMP), json!({"Colour": "blue"})).await;
        let heard = rig.heard(hook).await;
        let acme = &of(&heard[0], MAKERS, "changedRecordsById")["recAcme0000000000"]["current"];
        assert_eq!(
            values(acme)[&colours],
            json!({"linkedRecordIds": [LAMP],
                   "valuesByLinkedRecordId": {LAMP: [{"id": "selblue0000000000", "name": "blue"}]}})
        );
        rig.close().await;
    });
}

#[test]
fn scopes_kinds_types_sources_and_watched_cells_choose() {
    with_shop(async |directory, clock| {
        let rig = Rig::open(&directory, &clock).await;
        let hook = async |more: Value| {
            let mut filters = json!({"dataTypes": ["tableData"]});
            filters.as_object_mut().unwrap().extend(cells(more));
            rig.hook(wants(filters)).await
        };
        let all = hook(json!({})).await;
        let makers = hook(json!({"recordChangeScope": MAKERS})).await;
        let added = hook(json!({"changeTypes": ["add"]})).await;
        let gone = hook(json!({"changeTypes": ["remove"]})).await;
        let by_api = hook(json!({"fromSources": ["publicApi"]})).await;
        let by_hand = hook(json!({"fromSources": ["client", "automation"]})).await;
        let price = hook(json!({"watchDataInFieldIds": ["fldGPrice00000000"]})).await;
        let worth = hook(json!({"watchDataInFieldIds": ["fldGWorth00000000"]})).await;
        let fields = rig.hook(wants(json!({"dataTypes": ["tableFields", "tableMetadata"]}))).await;

        let made = rig.add(GOODS, json!({"Name": "Bench"})).await;
        rig.write_by("mcp", GOODS, Action::Update(vec![(made, cells(json!({"Stock": 4})))])).await;
        rig.set(GOODS, made, json!({"Price": 2, "Name": "Settle"})).await;
        rig.add(MAKERS, json!({"Name": "Zed"})).await;
        rig.remove(GOODS, made).await;

        let numbers = async |id| -> Vec<i64> {
            let heard = rig.heard(id).await;
            heard.iter().map(|p| p["baseTransactionNumber"].as_i64().unwrap()).collect()
        };
        assert_eq!(numbers(all).await, [1, 2, 3, 4, 5]);
        assert_eq!(numbers(makers).await, [4]);
        assert_eq!(numbers(added).await, [1, 4]);
        assert_eq!(numbers(gone).await, [5]);
        assert_eq!(numbers(by_api).await, [1, 3, 4, 5]);
        assert_eq!(numbers(by_hand).await, [2]);
        assert_eq!(numbers(price).await, [3, 5], "a new record without a price does not count");
        let priced = rig.heard(price).await;
        let change = &of(&priced[0], GOODS, "changedRecordsById")[made.to_string()];
        assert_eq!(values(&change["current"]), &json!({"fldGPrice00000000": 2}));
        assert_eq!(numbers(worth).await, [1, 3, 5], "0 at first, 2 * 4 later");
        assert_eq!(numbers(fields).await, [0i64; 0]);
        rig.close().await;
    });
}

#[test]
fn a_view_hears_of_records_that_come_in_stay_and_go_out() {
    with_shop(async |directory, clock| {
        let rig = Rig::open(&directory, &clock).await;
        let view: View =
            serde_json::from_value(json!({"name": "Dear", "type": "grid", "filterFormula": "{Worth} > 100"}))
                .unwrap();
        let goods = GOODS.parse().unwrap();
        let dear = rig.edit(SchemaEdit::CreateView { table: goods, view }).await.edit.view.unwrap();
        let hook = rig.hook(wants(json!({"dataTypes": ["tableData"], "recordChangeScope": dear}))).await;
        let desk = record("recDesk0000000000");
        rig.set(GOODS, record(LAMP), json!({"Name": "Light"})).await; // stays in
        rig.set(GOODS, desk, json!({"Name": "Table"})).await; // stays out
        rig.set(GOODS, desk, json!({"Stock": 1})).await; // 250: comes in
        rig.set(GOODS, record(LAMP), json!({"Stock": 1})).await; // 40: goes out
        let cheap = rig.add(GOODS, json!({"Price": 1, "Stock": 1})).await; // out
        let costly = rig.add(GOODS, json!({"Price": 500, "Stock": 1})).await; // in
        rig.remove(GOODS, cheap).await; // was out
        rig.remove(GOODS, costly).await; // was in
        let heard = rig.heard(hook).await;
        let seen: Vec<(String, Vec<String>)> = heard
            .iter()
            .map(|payload| {
                assert!(of(payload, GOODS, "createdRecordsById").is_null(), "only under the view: {payload}");
                let of_view = of(payload, GOODS, "changedViewsById")[dear.to_string()].as_object().unwrap();
                assert_eq!(of_view.len(), 1, "{payload}");
                let (kind, records) = of_view.iter().next().unwrap();
                let ids = match records {
                    Value::Array(ids) => ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect(),
                    map => map.as_object().unwrap().keys().cloned().collect(),
                };
                (kind.clone(), ids)
            })
            .collect();
        let expected = [
            ("changedRecordsById", LAMP.to_owned()),
            ("createdRecordsById", desk.to_string()),
            ("destroyedRecordIds", LAMP.to_owned()),
            ("createdRecordsById", costly.to_string()),
            ("destroyedRecordIds", costly.to_string()),
        ]
        .map(|(kind, id)| (kind.to_owned(), vec![id]));
        assert_eq!(seen, expected);
        rig.close().await;
    });
}

#[test]
fn a_follower_that_is_behind_shows_every_commit_as_things_were_then() {
    with_shop(async |directory, clock| {
        let mut rig = Rig::open_still(&directory, &clock).await;
        let goods = GOODS.parse().unwrap();
        let view: View =
            serde_json::from_value(json!({"name": "Dear", "type": "grid", "filterFormula": "{Worth} > 100"}))
                .unwrap();
        let dear = rig.edit(SchemaEdit::CreateView { table: goods, view }).await.edit.view.unwrap();
        let of_view = rig.hook(wants(json!({"dataTypes": ["tableData"], "recordChangeScope": dear}))).await;
        let all = rig
            .hook(json!({"options": {"filters": {"dataTypes": ["tableData"]},
                                     "includes": {"includeCellValuesInFieldIds": "all"}}}))
            .await;
        let acme = record("recAcme0000000000");
        let made = rig.add(GOODS, json!({"Name": "Sofa", "Price": 200, "Stock": 1, "Maker": [acme]})).await;
        rig.set(GOODS, made, json!({"Name": "Couch"})).await;
        rig.set(MAKERS, acme, json!({"Name": "Apex"})).await;
        clock.advance(60_000);
        rig.set(GOODS, made, json!({"Stock": 0})).await;
        rig.remove(GOODS, made).await;
        rig.run();

        let heard = rig.heard(all).await;
        assert_eq!(heard.len(), 5);
        let created = &of(&heard[0], GOODS, "createdRecordsById")[made.to_string()];
        assert_eq!(created["createdTime"], "2001-09-09T01:46:40.000Z", "though the record is gone by now");
        assert_eq!(values(created)["fldGName000000000"], "Sofa");
        assert_eq!(values(created)["fldGMaker00000000"][0]["name"], "Acme");
        assert_eq!(values(created)["fldGWorth00000000"], 200);
        let renamed = &of(&heard[1], GOODS, "changedRecordsById")[made.to_string()];
        assert_eq!(values(&renamed["unchanged"])["fldGMaker00000000"][0]["name"], "Acme");
        assert_eq!(values(&renamed["unchanged"])["fldGStock00000000"], 1);
        let sold = &of(&heard[3], GOODS, "changedRecordsById")[made.to_string()];
        assert_eq!(values(&sold["unchanged"])["fldGMaker00000000"][0]["name"], "Apex");
        assert_eq!(values(&sold["unchanged"])["fldGName000000000"], "Couch");

        let kinds: Vec<String> = rig
            .heard(of_view)
            .await
            .iter()
            .map(|payload| {
                let seen = of(payload, GOODS, "changedViewsById")[dear.to_string()].as_object().unwrap();
                seen.keys().cloned().collect::<Vec<_>>().join(" ")
            })
            .collect();
        assert_eq!(kinds, ["createdRecordsById", "changedRecordsById", "destroyedRecordIds"]);
        rig.close().await;
    });
}

#[test]
fn fields_and_tables_are_told_to_those_who_want_them() {
    with_shop(async |directory, clock| {
        let rig = Rig::open(&directory, &clock).await;
        let goods = GOODS.parse().unwrap();
        let both = json!({"options": {"filters": {"dataTypes": ["tableFields", "tableMetadata"]},
                                      "includes": {"includePreviousFieldDefinitions": true}}});
        let all = rig.hook(both).await;
        let records = rig.hook(data()).await;
        let stock = "fldGStock00000000";
        let watched =
            rig.hook(wants(json!({"dataTypes": ["tableFields"], "watchSchemasOfFieldIds": [stock]}))).await;

        let field = new_field("Weight", "number", json!({"precision": 1}));
        let weight = rig.edit(SchemaEdit::CreateField { table: goods, field }).await.edit.field.unwrap();
        let rename = |field: &str, name: &str| SchemaEdit::UpdateField {
            table: goods,
            field: field.parse().unwrap(),
            name: Some(name.into()),
            description: None,
            options: None,
        };
        rig.edit(rename(stock, "In stock")).await;
        rig.edit(SchemaEdit::DeleteField { table: goods, field: weight }).await;
        let about = SchemaEdit::UpdateTable { table: goods, name: Some("Wares".into()), description: None };
        rig.edit(about).await;
        let fields = vec![new_field("Code", "singleLineText", Value::Null)];
        let new = NewTable { name: "Codes".into(), fields, ..NewTable::default() };
        let codes = rig.edit(SchemaEdit::CreateTable(new)).await.edit.table.unwrap();
        rig.edit(SchemaEdit::DeleteTable(codes)).await;

        let heard = rig.heard(all).await;
        assert_eq!(heard.len(), 6, "{heard:#?}");
        let definition = json!({weight.to_string(): {"name": "Weight", "type": "number"}});
        assert_eq!(of(&heard[0], GOODS, "createdFieldsById"), &definition);
        let change = json!({stock: {"current": {"name": "In stock"}, "previous": {"name": "Stock"}}});
        assert_eq!(of(&heard[1], GOODS, "changedFieldsById"), &change);
        assert_eq!(of(&heard[2], GOODS, "destroyedFieldIds"), &json!([weight]));
        assert_eq!(
            of(&heard[3], GOODS, "changedMetadata"),
            &json!({"current": {"name": "Wares", "description": "What is for sale"},
                    "previous": {"name": "Goods", "description": "What is for sale"}})
        );
        assert_eq!(heard[5]["destroyedTableIds"], json!([codes]));
        assert_eq!(heard[0]["actionMetadata"]["source"], "unknown", "the face `test` is none of Airtable's");

        let heard = rig.heard(records).await;
        assert_eq!(heard.len(), 1, "a table that goes takes records with it: {heard:#?}");
        let heard = rig.heard(watched).await;
        assert_eq!(heard.len(), 1);
        assert!(of(&heard[0], GOODS, "changedFieldsById")[stock].get("previous").is_none());
        rig.close().await;
    });
}

#[test]
fn a_new_table_comes_with_its_fields() {
    with_shop(async |directory, clock| {
        let rig = Rig::open(&directory, &clock).await;
        let hook = rig.hook(wants(json!({"dataTypes": ["tableMetadata"]}))).await;
        let fields = vec![new_field("Code", "singleLineText", Value::Null)];
        let new = NewTable {
            name: "Codes".into(),
            description: Some("All of them".into()),
            fields,
            ..NewTable::default()
        };
        let made = rig.edit(SchemaEdit::CreateTable(new)).await;
        let table = made.edit.table.unwrap();
        let field = made.snapshot.schema.table_by_id(table).unwrap().fields[0].id;
        let heard = rig.heard(hook).await;
        assert_eq!(
            heard[0]["createdTablesById"],
            json!({table.to_string(): {"metadata": {"name": "Codes", "description": "All of them"},
                   "fieldsById": {field.to_string(): {"name": "Code", "type": "singleLineText"}},
                   "recordsById": {}}})
        );
        rig.close().await;
    });
}

#[test]
fn a_webhook_whose_place_is_gone_says_so_once_and_is_silent() {
    with_shop(async |directory, clock| {
        let rig = Rig::open(&directory, &clock).await;
        let goods = GOODS.parse().unwrap();
        let view: View = serde_json::from_value(json!({"name": "Extra", "type": "grid"})).unwrap();
        let view = rig.edit(SchemaEdit::CreateView { table: goods, view }).await.edit.view.unwrap();
        let of_view = rig.hook(wants(json!({"dataTypes": ["tableData"], "recordChangeScope": view}))).await;
        let notes = "fldGNotes00000000";
        let includes = json!({"options": {"filters": {"dataTypes": ["tableData"]},
                                          "includes": {"includeCellValuesInFieldIds": [notes]}}});
        let of_notes = rig.hook(includes).await;
        let renamed = ViewChange { name: Some("Other".into()), ..ViewChange::default() };
        rig.edit(SchemaEdit::UpdateView { table: goods, view, change: renamed }).await;
        assert!(rig.heard(of_view).await.is_empty(), "a view that changes is still there");
        rig.edit(SchemaEdit::DeleteView { table: goods, view }).await;
        rig.edit(SchemaEdit::DeleteField { table: goods, field: notes.parse().unwrap() }).await;
        rig.set(GOODS, record(LAMP), json!({"Stock": 9})).await;
        for (hook, code) in [(of_view, "INVALID_FILTERS"), (of_notes, "INVALID_HOOK")] {
            let heard = rig.heard(hook).await;
            assert_eq!(heard.len(), 1, "{heard:#?}");
            assert_eq!((&heard[0]["error"], &heard[0]["code"]), (&json!(true), &json!(code)));
            assert!(heard[0]["timestamp"].is_string() && heard[0].get("changedTablesById").is_none());
        }
        let listed = rig.webhooks.list(&mut rig.call().await, BASE.parse().unwrap()).await.unwrap();
        assert!(listed.iter().all(|hook| !hook.is_enabled));
        rig.close().await;
    });
}

#[test]
fn a_large_commit_is_several_payloads() {
    with_shop(async |directory, clock| {
        let rig = Rig::open(&directory, &clock).await;
        let hook = rig.hook(data()).await;
        let many = (0..2_300).map(|n| cells(json!({"Name": format!("n{n}")}))).collect();
        rig.write(GOODS, Action::Create(many)).await;
        let heard = rig.heard(hook).await;
        let sizes: Vec<usize> =
            heard.iter().map(|p| of(p, GOODS, "createdRecordsById").as_object().unwrap().len()).collect();
        assert_eq!(sizes, [1_000, 1_000, 300]);
        assert!(heard.iter().all(|p| p["baseTransactionNumber"] == 1));
        rig.close().await;
    });
}

#[test]
fn wrong_specifications_are_refused() {
    with_shop(async |directory, clock| {
        let rig = Rig::open(&directory, &clock).await;
        let view = ViewId::random();
        for (filters, word) in [
            (json!({"dataTypes": ["tableData"], "recordChangeScope": "tblNone0000000000"}), "tblNone"),
            (json!({"dataTypes": ["tableData"], "recordChangeScope": view}), "recordChangeScope"),
            (json!({"dataTypes": ["tableData"], "watchDataInFieldIds": ["fldNone0000000000"]}), "fldNone"),
            (
                json!({"dataTypes": ["tableFields"], "recordChangeScope": MAKERS,
                       "watchSchemasOfFieldIds": ["fldGStock00000000"]}),
                "has no field fldGStock00000000",
            ),
            (json!({"dataTypes": []}), "at least one"),
        ] {
            let fault = rig.create(wants(filters), None).await.unwrap_err();
            assert!(fault.message.contains(word), "{fault}");
        }
        rig.close().await;
    });
}
