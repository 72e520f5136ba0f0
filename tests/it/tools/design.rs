use serde_json::{Value, json};

use super::{everything, shop};
use crate::support::Client;

fn goods(more: Value) -> Value {
    let mut arguments = json!({"base": "Shop", "table": "Goods"});
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    arguments
}

fn cells(client: &mut Client, table: &str, id: &str) -> Value {
    let asked = json!({"base": "Shop", "table": table, "records": [id], "format": "json"});
    client.structured("get_records", asked)["records"][0]["fields"].clone()
}

fn full_field(client: &mut Client, base: &str, table: &str, name: &str) -> Value {
    let full = client.structured("describe_base", json!({"base": base, "table": table, "detail": "full"}));
    let fields = full["tables"][0]["fields"].as_array().unwrap();
    fields.iter().find(|f| f["name"] == name).unwrap_or_else(|| panic!("{name}: {full}")).clone()
}

#[test]
fn a_base_is_made_with_everything_that_names_everything() {
    let (_data, mut client) = everything();
    let made = client.structured(
        "create_base",
        json!({"name": "Studio", "tables": [
            {"name": "Projects", "description": "What we do", "fields": [
                {"name": "Name", "type": "singleLineText"},
                {"name": "Cost", "type": "rollup", "through": "Tasks", "source": "Price", "formula": "SUM(values)"},
                {"name": "Tasks done", "type": "count", "through": "tasks"},
                {"name": "Label", "type": "formula", "formula": "{Name} & ': ' & {Cost}"},
                {"name": "Status", "type": "singleSelect", "choices": ["Open", {"name": "Done", "color": "greenBright"}]}]},
            {"name": "Tasks", "fields": [
                {"name": "Task", "type": "singleLineText"},
                {"name": "Price", "type": "currency", "options": {"symbol": "€"}},
                {"name": "Project", "type": "multipleRecordLinks", "links_to": "Projects", "other_side": "Tasks"},
                {"name": "State", "type": "multipleLookupValues", "through": "Project", "source": "Status"},
                {"name": "Person", "type": "multipleRecordLinks", "links_to": "People", "other_side": "Jobs"}]},
            {"name": "People", "fields": [
                {"name": "Who", "type": "singleLineText"},
                {"name": "Jobs", "type": "multipleRecordLinks", "links_to": "Tasks"},
                {"name": "Boss", "type": "multipleRecordLinks", "links_to": "People"},
                {"name": "Born", "type": "date", "options": {"dateFormat": "european"}}]}]}),
    );
    let names = |table: usize| -> Vec<String> {
        let fields = made["tables"][table]["fields"].as_array().unwrap();
        fields.iter().map(|f| f["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(0), ["Name", "Cost", "Tasks done", "Label", "Status", "Tasks"]);
    assert_eq!(names(1), ["Task", "Price", "Project", "State", "Person"]);
    assert_eq!(names(2), ["Who", "Jobs", "Boss", "Born"], "the pair of links is one link");
    assert!(made["change"].as_i64().unwrap() > 0 && made["id"].as_str().unwrap().starts_with("app"));
    let write = |client: &mut Client, table: &str, records: Value| {
        let asked = json!({"base": "Studio", "table": table, "records": records, "typecast": true});
        client.structured("create_records", asked)
    };
    write(&mut client, "Projects", json!([{"Name": "Film", "Status": "Open"}]));
    write(
        &mut client,
        "Tasks",
        json!([{"Task": "cut", "Price": 4, "Project": ["Film"], "Person": ["Ada"]},
        {"Task": "mix", "Price": 5.5, "Project": ["Film"]}]),
    );
    let read = |client: &mut Client, table: &str| {
        let asked = json!({"base": "Studio", "table": table, "format": "json"});
        client.structured("list_records", asked)["records"][0]["fields"].clone()
    };
    let film = read(&mut client, "Projects");
    assert_eq!(
        (&film["Cost"], &film["Tasks done"], &film["Label"]),
        (&json!(9.5), &json!(2), &json!("Film: 9.5"))
    );
    assert_eq!(read(&mut client, "Tasks")["State"], json!(["Open"]));
    assert_eq!(read(&mut client, "People")["Jobs"].as_array().unwrap().len(), 1);
}

#[test]
fn a_base_that_cannot_be_made_is_not_made_at_all() {
    let (_data, mut client) = everything();
    let base = |tables: Value| json!({"name": "New", "tables": tables});
    let name = json!({"name": "N", "type": "singleLineText"});
    for (tables, said) in [
        (json!([]), "at least one table"),
        (json!([{"name": "T", "fields": []}]), "at least one field"),
        (json!([{"name": "T", "fields": [{"name": "N", "type": "checkbox"}]}]), "cannot name records"),
        (json!([{"name": "T", "fields": [{"name": "N", "type": "text"}]}]), "\"singleLineText\"?"),
        (json!([{"name": "T", "fields": [name, {"name": "n", "type": "url"}]}]), "already"),
        (json!([{"name": "T", "fields": [name]}, {"name": "t", "fields": [name]}]), "already"),
        (
            json!([{"name": "T", "fields": [name, {"name": "L", "type": "multipleRecordLinks", "links_to": "Z"}]}]),
            "no table \"Z\"",
        ),
        (
            json!([{"name": "T", "fields": [name, {"name": "L", "type": "multipleRecordLinks"}]}]),
            "say links_to",
        ),
        (
            json!([{"name": "T", "fields": [name, {"name": "C", "type": "count", "through": "N"}]}]),
            "must be a link field",
        ),
        (
            json!([{"name": "T", "fields": [name, {"name": "F", "type": "formula", "formula": "{Nope}"}]}]),
            "Nope",
        ),
        (
            json!([{"name": "T", "fields": [name, {"name": "A", "type": "formula", "formula": "{B}"},
            {"name": "B", "type": "formula", "formula": "{A}"}]}]),
            "circle",
        ),
        (
            json!([{"name": "T", "fields": [name, {"name": "P", "type": "number", "options": {"precison": 1}}]}]),
            "Did you mean \"precision\"",
        ),
        (
            json!([{"name": "T", "fields": [name, {"name": "P", "type": "number", "choices": ["a"]}]}]),
            "takes no choices",
        ),
        (
            json!([{"name": "T", "fields": [name, {"name": "S", "type": "singleSelect", "choices": ["a", "a"]}]}]),
            "twice",
        ),
        (json!([{"name": "T", "fields": [name], "feilds": 1}]), "feilds"),
    ] {
        let refused = client.refused("create_base", base(tables.clone()));
        assert!(refused.contains(said), "{tables}: {refused}");
    }
    assert_eq!(client.structured("list_bases", json!({}))["bases"].as_array().unwrap().len(), 1);
}

#[test]
fn a_table_joins_a_base() {
    let (_data, mut client) = everything();
    let made = client.structured(
        "create_table",
        json!({"base": "Shop", "name": "Orders", "fields": [
            {"name": "Number", "type": "singleLineText", "description": "on the slip"},
            {"name": "Items", "type": "multipleRecordLinks", "links_to": "goods"},
            {"name": "Makers", "type": "multipleLookupValues", "through": "Items", "source": "Maker"},
            {"name": "Sum", "type": "rollup", "options": {"recordLinkFieldId": "Items",
                "fieldIdInLinkedTable": "Price", "formula": "SUM(values)"}}]}),
    );
    assert_eq!(made["fields"].as_array().unwrap().len(), 4);
    assert_eq!(
        (&made["elsewhere"][0]["table"], &made["elsewhere"][0]["name"]),
        (&json!("Goods"), &json!("Orders"))
    );
    let order = json!({"base": "Shop", "table": "Orders", "records": [{"Number": "1", "Items": ["recLamp0000000000"]}]});
    let id = client.structured("create_records", order)["ids"][0].as_str().unwrap().to_owned();
    assert_eq!(cells(&mut client, "Orders", &id)["Sum"], 40);
    assert_eq!(cells(&mut client, "Goods", "recLamp0000000000")["Orders"], json!([id]));
    let twin = json!({"base": "Shop", "name": "orders", "fields": [{"name": "N", "type": "number"}]});
    assert!(client.refused("create_table", twin).contains("already"));

    let done = client.structured(
        "update_table",
        json!({"base": "Shop", "table": "Orders", "name": "Sales", "description": "\\u{200B}x"}),
    );
    assert_eq!(done["name"], "Sales");
    let described = client.structured("describe_base", json!({"base": "Shop", "table": made["id"]}));
    assert_eq!(described["tables"][0]["description"], "\u{200b}x", "texts are whole again");
    for (change, said) in [
        (json!({}), "nothing to change"),
        (json!({"name": "goods"}), "already"),
        (json!({"name": " "}), "needs a name"),
    ] {
        let mut asked = json!({"base": "Shop", "table": "Sales"});
        asked.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = client.refused("update_table", asked);
        assert!(refused.contains(said), "{refused}");
    }
}

#[test]
fn fields_of_every_type_are_made_and_described_alike() {
    let (_data, mut client) = everything();
    for (kind, more) in [
        ("multilineText", json!({})),
        ("richText", json!({})),
        ("email", json!({})),
        ("url", json!({})),
        ("phoneNumber", json!({})),
        ("number", json!({"options": {"precision": 8}})),
        ("currency", json!({})),
        ("percent", json!({})),
        ("duration", json!({"options": {"durationFormat": "h:mm:ss"}})),
        ("rating", json!({"options": {"max": 10}})),
        ("checkbox", json!({})),
        ("date", json!({})),
        ("dateTime", json!({"options": {"timeZone": "Europe/Berlin"}})),
        ("singleSelect", json!({"choices": ["a"]})),
        ("multipleSelects", json!({"choices": ["b"]})),
        ("singleCollaborator", json!({})),
        ("multipleCollaborators", json!({})),
        ("multipleRecordLinks", json!({"links_to": "Goods"})),
        ("multipleAttachments", json!({})),
        ("barcode", json!({})),
        ("formula", json!({"formula": "{price} * 2"})),
        ("rollup", json!({"through": "Maker", "source": "Name", "formula": "ARRAYJOIN(values)"})),
        ("multipleLookupValues", json!({"through": "Maker", "source": "Name"})),
        ("count", json!({"through": "Maker"})),
        ("autoNumber", json!({})),
        ("createdTime", json!({"options": {"result": "date"}})),
        ("lastModifiedTime", json!({"options": {"referencedFieldIds": ["Price", "Stock"]}})),
        ("createdBy", json!({})),
        ("lastModifiedBy", json!({})),
        ("button", json!({"formula": "'https://x.org/' & {Name}"})),
    ] {
        let mut field = json!({"name": format!("The {kind}"), "type": kind});
        field.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = client.structured("create_field", goods(json!({"field": field})));
        assert_eq!((&made["name"], &made["type"]), (&field["name"], &json!(kind)), "{made}");
    }
    let lamp = cells(&mut client, "Goods", "recLamp0000000000");
    assert_eq!(
        (&lamp["The formula"], &lamp["The rollup"], &lamp["The count"]),
        (&json!(80), &json!("Acme"), &json!(1))
    );
    assert_eq!(lamp["The createdTime"], "2026-01-01");
    let watched = full_field(&mut client, "Shop", "Goods", "The lastModifiedTime");
    assert_eq!(watched["options"]["referencedFieldIds"], json!(["fldGPrice00000000", "fldGStock00000000"]));
    // What describe_base shows of a field makes another one like it.
    for kind in ["rollup", "multipleRecordLinks", "singleSelect", "dateTime", "formula"] {
        let shown = full_field(&mut client, "Shop", "Goods", &format!("The {kind}"));
        let mut options = shown["options"].clone();
        if kind == "singleSelect" {
            options["choices"][0].as_object_mut().unwrap().remove("id");
        }
        let field = json!({"name": format!("Again {kind}"), "type": kind, "options": options});
        client.structured("create_field", goods(json!({"field": field})));
    }
}

#[test]
fn a_link_tells_its_other_side() {
    let (_data, mut client) = everything();
    let link =
        json!({"name": "Seller", "type": "multipleRecordLinks", "links_to": "Makers", "other_side": "Sells"});
    let made = client.structured("create_field", goods(json!({"field": link})));
    assert_eq!(
        (&made["other_side"]["table"], &made["other_side"]["name"]),
        (&json!("Makers"), &json!("Sells"))
    );
    let own = json!({"name": "Parts", "type": "multipleRecordLinks", "links_to": "Goods"});
    let made = client.structured("create_field", goods(json!({"field": own})));
    assert!(made.get("other_side").is_none(), "{made}");
    for (link, said) in [
        (
            json!({"name": "X", "type": "multipleRecordLinks", "links_to": "Makers", "other_side": "name"}),
            "already",
        ),
        (
            json!({"name": "X", "type": "multipleRecordLinks", "links_to": "Goods", "other_side": "Y"}),
            "no other side",
        ),
        (json!({"name": "X", "type": "number", "other_side": "Y"}), "no other_side"),
        (json!({"name": "X", "type": "count"}), "say through"),
        (json!({"name": "X", "type": "rollup", "through": "Maker", "formula": "SUM(values)"}), "say source"),
        (json!({"name": "X", "type": "rollup", "through": "Maker", "source": "Name"}), "options.formula"),
        (json!({"name": "x".repeat(300), "type": "number"}), "255 characters"),
        (json!({"name": "a\nb", "type": "number"}), "one line"),
        (json!({"name": "X", "type": "number", "options": {"precision": 9}}), "0 to 8"),
    ] {
        let refused = client.refused("create_field", goods(json!({"field": link.clone()})));
        assert!(refused.contains(said), "{link}: {refused}");
    }
}

#[test]
fn a_field_changes_and_what_names_it_goes_on() {
    let (_data, mut client) = everything();
    let update = |client: &mut Client, more: Value| client.structured("update_field", goods(more));
    let made = update(&mut client, json!({"field": "Price", "name": "Cost", "description": "in dollars"}));
    assert_eq!(made["name"], "Cost");
    assert_eq!(cells(&mut client, "Goods", "recLamp0000000000")["Worth"], 120);
    let made = update(&mut client, json!({"field": "Worth", "formula": "{Cost} * {Stock} & ' dollars'"}));
    assert_eq!(made["result"], "singleLineText");
    assert_eq!(cells(&mut client, "Goods", "recLamp0000000000")["Worth"], "120 dollars");
    let made = update(
        &mut client,
        json!({"field": "Colour", "choices": ["blue", {"id": "selred00000000000", "name": "ruby"}, "green", "white"]}),
    );
    let ids: Vec<&str> =
        made["choices"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap()).collect();
    assert_eq!(ids[..3], ["selblue0000000000", "selred00000000000", "selgreen000000000"]);
    assert_eq!(cells(&mut client, "Goods", "recChair000000000")["Colour"], "ruby");
    for (change, said) in [
        (json!({"field": "Colour", "choices": ["blue"]}), "still in use: \"ruby\" (1 records)"),
        (json!({"field": "Worth", "formula": "{Worth} + 1"}), "circle"),
        (json!({"field": "Cost", "formula": "1"}), "takes no formula"),
        (json!({"field": "Cost"}), "nothing to change"),
        (json!({"field": "Cost", "name": "stock"}), "already"),
        (json!({"field": "Cots", "name": "X"}), "Did you mean \"Cost\""),
        (json!({"field": "Maker", "options": {"prefersSingleRecordLink": false}}), "cannot be changed"),
        (json!({"field": "Hologram", "options": {"depth": 4}}), "can be made"),
    ] {
        let refused = client.refused("update_field", goods(change.clone()));
        assert!(refused.contains(said), "{change}: {refused}");
    }
    let sum = json!({"name": "Sum", "type": "rollup", "through": "Goods", "source": "Cost", "formula": "SUM(values)"});
    client.structured("create_field", json!({"base": "Shop", "table": "Makers", "field": sum}));
    let other = json!({"base": "Shop", "table": "Makers", "field": "Sum", "source": "Stock", "formula": "MAX(values)"});
    client.structured("update_field", other);
    assert_eq!(cells(&mut client, "Makers", "recAcme0000000000")["Sum"], 3);
    let wrong = json!({"base": "Shop", "table": "Makers", "field": "Sum", "through": "Name"});
    assert!(client.refused("update_field", wrong).contains("must be a link field"));
}

#[test]
fn views_are_made_changed_and_deleted() {
    let (_data, mut client) = everything();
    let view = |client: &mut Client| client.text("list_records", goods(json!({"view": "Dear"})));
    let made = client.structured(
        "create_view",
        goods(json!({"name": "Dear", "filter": {"field": "Price", "op": ">", "value": 9},
            "sort": [{"field": "Price", "direction": "desc"}], "fields": ["Name", "Price"]})),
    );
    assert!(made["id"].as_str().unwrap().starts_with("viw") && made["change"].as_i64().unwrap() > 0);
    let text = view(&mut client);
    let rows: Vec<&str> = text.lines().skip(1).take(4).collect();
    assert_eq!(rows[0], "id\tName\tPrice");
    assert!(rows[1].contains("Desk") && rows[2].contains("Lamp") && rows[3].contains("chair"), "{text}");
    client.structured(
        "update_view",
        goods(json!({"view": made["id"], "filter": "{Price} > 100", "fields": []})),
    );
    assert!(view(&mut client).contains("1 of 1 records"));
    client.structured("update_view", goods(json!({"view": "Dear", "filter": "", "sort": [], "name": "All"})));
    assert!(client.text("list_records", goods(json!({"view": "all"}))).contains("4 of 4 records"));
    for (tool, more, said) in [
        ("create_view", json!({"name": "ALL"}), "already"),
        ("create_view", json!({"name": "X", "filter": "{Nope}"}), "Nope"),
        ("create_view", json!({"name": "X", "sort": [{"field": "Nope"}]}), "no field \"Nope\""),
        ("update_view", json!({"view": "All"}), "nothing to change"),
        ("update_view", json!({"view": "Al", "name": "x"}), "Did you mean \"All\""),
        ("update_view", json!({"view": "All", "filter": {"field": "Price"}}), "op"),
        ("delete_view", json!({"view": "None"}), "no view"),
    ] {
        let refused = client.refused(tool, goods(more.clone()));
        assert!(refused.contains(said), "{tool} {more}: {refused}");
    }
    assert_eq!(client.structured("delete_view", goods(json!({"view": "All"})))["name"], "All");
    client.structured("delete_view", goods(json!({"view": "By price"})));
    assert!(client.refused("delete_view", goods(json!({"view": "Grid view"}))).contains("needs one"));
}

#[test]
fn a_view_whose_field_went_away_can_be_mended() {
    let (_data, mut client) = everything();
    let filtered =
        json!({"name": "Few", "filter": "{Stock} < 5", "sort": [{"field": "Stock"}], "fields": ["Stock"]});
    client.structured("create_view", goods(filtered));
    let refused = client.refused("delete_field", goods(json!({"field": "Stock"})));
    assert!(refused.contains("field \"Worth\"") && refused.contains("view \"Few\""), "{refused}");
    let gone = client.structured("delete_field", goods(json!({"field": "Stock", "force": true})));
    assert_eq!(gone["affected"].as_array().unwrap().len(), 3, "{gone}");
    let lamp = cells(&mut client, "Goods", "recLamp0000000000");
    assert!(lamp.get("Worth").is_none(), "a formula that does not work shows nothing: {lamp}");
    assert!(client.refused("list_records", goods(json!({"view": "Few"}))).contains("filter of view"));
    client.structured("update_view", goods(json!({"view": "Few", "name": "Some"})));
    client.structured("update_view", goods(json!({"view": "Some", "sort": [{"field": "Price"}]})));
    client.structured("update_view", goods(json!({"view": "Some", "filter": {}})));
    let text = client.text("list_records", goods(json!({"view": "Some"})));
    assert!(text.contains("id\tName\n"), "the name is shown when nothing else is left: {text}");
}

#[test]
fn deleting_says_what_breaks_and_asks_twice() {
    let (_data, mut client) = everything();
    assert!(client.refused("delete_field", goods(json!({"field": "Name"}))).contains("cannot be deleted"));
    let gone = client.structured("delete_field", goods(json!({"field": "Notes"})));
    assert_eq!((&gone["name"], gone.get("affected")), (&json!("Notes"), None));
    let refused = client.refused("delete_field", goods(json!({"field": "Maker"})));
    assert!(refused.contains("field \"Goods\" of table \"Makers\" changes: it becomes a text"), "{refused}");
    client.structured("delete_field", goods(json!({"field": "Maker", "force": true})));
    assert_eq!(cells(&mut client, "Makers", "recAcme0000000000")["Goods"], "Lamp");

    let link = json!({"name": "From", "type": "multipleRecordLinks", "links_to": "Makers"});
    client.structured("create_field", goods(json!({"field": link})));
    let update = json!([{"id": "recLamp0000000000", "fields": {"From": ["recBolt0000000000"]}}]);
    client.structured("update_records", goods(json!({"records": update})));
    let makers = |confirm: &str| json!({"base": "Shop", "table": "Makers", "confirm": confirm});
    assert!(client.refused("delete_table", makers("makers")).contains("exact name"));
    let gone = client.structured("delete_table", makers("Makers"));
    assert_eq!((&gone["records"], &gone["became_texts"][0]["name"]), (&json!(2), &json!("From")));
    assert_eq!(cells(&mut client, "Goods", "recLamp0000000000")["From"], "Bolt & Co");
    let last = json!({"base": "Shop", "table": "Goods", "confirm": "Goods"});
    assert!(client.refused("delete_table", last).contains("at least one table"));
    assert!(
        client.refused("delete_base", json!({"base": "Shop", "confirm": "Shop "})).contains("exact name")
    );
    let gone = client.structured("delete_base", json!({"base": "Shop", "confirm": "Shop"}));
    assert_eq!(gone["id"], "appShop0000000000");
    assert_eq!(client.structured("list_bases", json!({})), json!({"bases": []}));
}

#[test]
fn a_field_called_like_the_id_of_another_does_not_take_its_place() {
    let (_data, mut client) = everything();
    client.structured("update_field", goods(json!({"field": "Name", "name": "fldGPrice00000000"})));
    assert_eq!(cells(&mut client, "Goods", "recLamp0000000000")["Worth"], 120);
    let text = client.text("list_records", goods(json!({"filter": "{fldGPrice00000000} > 100"})));
    assert!(text.contains("recDesk0000000000") && text.contains("1 of 1"), "{text}");
    client.structured(
        "update_field",
        goods(json!({"field": "Colour", "choices":
        ["red", "green", "blue", {"name": "selgreen000000000"}]})),
    );
    assert_eq!(cells(&mut client, "Goods", "recLamp0000000000")["Colour"], "green");
}

#[test]
fn without_the_right_the_tools_are_not_there() {
    let data = crate::support::Data::with_shop();
    for (flags, there) in [
        (&["--toolsets", "design"][..], &[][..]),
        (&["--toolsets", "design", "--allow-write", "--allow-delete"], &[]),
        (
            &["--toolsets", "design", "--allow-schema"],
            &[
                "create_base",
                "create_field",
                "create_table",
                "create_view",
                "delete_view",
                "update_field",
                "update_table",
                "update_view",
            ],
        ),
    ] {
        let mut all = vec!["--no-daemon"];
        all.extend(flags);
        let mut client = data.serve(&all).initialize();
        let names = client.tools();
        assert_eq!(names, there, "{flags:?}");
        for tool in ["delete_field", "delete_table", "delete_base", "create_base"]
            .iter()
            .filter(|t| !there.contains(t))
        {
            let answer = client.request("tools/call", json!({"name": tool, "arguments": {"base": "Shop"}}));
            assert!(answer["error"]["message"].as_str().unwrap().contains("there is no tool"), "{answer}");
        }
    }
    let (_data, mut client) = shop();
    assert!(!client.tools().contains(&"create_base".to_owned()), "the toolset is chosen, not given");
}

#[test]
fn only_what_adds_is_called_harmless() {
    let (_data, mut client) = everything();
    let listed = client.request("tools/list", json!({}));
    for tool in listed["result"]["tools"].as_array().unwrap() {
        let (name, hints) = (tool["name"].as_str().unwrap(), &tool["annotations"]);
        let writes = ["create_", "update_", "upsert_", "upload_", "delete_", "add_", "apply_", "undo_"]
            .iter()
            .any(|verb| name.starts_with(verb));
        assert_eq!(hints["readOnlyHint"], !writes, "{name}");
        let adds = ["create_", "upload_", "add_"].iter().any(|verb| name.starts_with(verb));
        assert_eq!(hints["destructiveHint"], writes && !adds, "{name}");
    }
}
