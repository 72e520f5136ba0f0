//! Callers that write without pause and note what they are told.

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use super::ledger::{Known, Ledger, Said, Verb};
use crate::cloud::harbour;
use crate::hostile::Chance;
use crate::support::{Client, http};

/// One write of one caller.
#[derive(Debug)]
enum Order {
    /// Keys and notes of new records.
    Create(Vec<(String, String)>),
    /// Records and their new notes.
    Update(Vec<(Known, String)>),
    /// Records and their new notes, then keys and notes of new ones.
    Upsert(Vec<(Known, String)>, Vec<(String, String)>),
    Delete(Vec<Known>),
}

/// A caller: a number, its own random numbers, and what all know.
pub struct Writer {
    pub number: usize,
    pub chance: Chance,
    pub ledger: Arc<Mutex<Ledger>>,
    made: usize,
}

impl Writer {
    pub fn new(number: usize, seed: u64, ledger: &Arc<Mutex<Ledger>>) -> Self {
        Self { number, chance: Chance::of(seed, 1_000, number as u64), ledger: ledger.clone(), made: 0 }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    fn new_keys(&mut self, count: usize) -> Vec<(String, String)> {
        (0..count)
            .map(|_| {
                self.made += 1;
                (format!("new {} {:04}", self.number, self.made), self.note())
            })
            .collect()
    }

    fn note(&mut self) -> String {
        format!("note {:012x}", self.chance.next() >> 16)
    }

    fn taken(&mut self, count: usize) -> Vec<(Known, String)> {
        let mut chance = self.chance.clone();
        let known = self.ledger().take(self.number, count, &mut chance);
        self.chance = chance;
        known.into_iter().map(|known| (known, self.note())).collect()
    }

    /// The next write of at most so many records.
    fn order(&mut self, most: usize) -> Order {
        let roll = self.chance.below(100);
        let few = 1 + self.chance.below(3);
        let order = match roll {
            0..35 => Order::Create(self.new_keys(few)),
            35..45 => {
                let many = most / 2 + self.chance.below(most / 2) + 1;
                Order::Create(self.new_keys(many))
            }
            45..70 => Order::Update(self.taken(few)),
            70..85 => {
                let (old, new) = (self.taken(1 + few / 2), self.new_keys(1));
                Order::Upsert(old, new)
            }
            _ => Order::Delete(self.taken(few.min(2)).into_iter().map(|(known, _)| known).collect()),
        };
        match order {
            // Nothing is there to be changed yet.
            Order::Update(none) if none.is_empty() => Order::Create(self.new_keys(few)),
            Order::Delete(none) if none.is_empty() => Order::Create(self.new_keys(few)),
            order => order,
        }
    }

    /// Notes what was said of each record, in the order sent.
    fn note_down(&self, order: &Order, said: &[Said]) {
        let mut ledger = self.ledger();
        let mut said = said.iter();
        let mut next = || said.next().expect("something is said of every record");
        match order {
            Order::Create(new) => {
                for (key, note) in new {
                    ledger.made(Verb::Create, key, note, self.number, next());
                }
            }
            Order::Update(old) => {
                for (known, note) in old {
                    ledger.changed(Verb::Update, &known.key, note, next());
                }
            }
            Order::Upsert(old, new) => {
                for (known, note) in old {
                    ledger.changed(Verb::Upsert, &known.key, note, next());
                }
                for (key, note) in new {
                    ledger.made(Verb::Upsert, key, note, self.number, next());
                }
            }
            Order::Delete(old) => {
                for known in old {
                    ledger.deleted(&known.key, next());
                }
            }
        }
    }
}

impl Order {
    fn len(&self) -> usize {
        match self {
            Self::Create(new) => new.len(),
            Self::Update(old) => old.len(),
            Self::Upsert(old, new) => old.len() + new.len(),
            Self::Delete(old) => old.len(),
        }
    }

    /// The cells of its records; with ids where it names records.
    fn records(&self, wrapped: bool) -> Vec<Value> {
        let new = |(key, note): &(String, String)| harbour::shipment(key, note, key.len() * 7 + note.len());
        let wrap = |fields: Value| if wrapped { json!({"fields": fields}) } else { fields };
        match self {
            Self::Create(all) => all.iter().map(|one| wrap(new(one))).collect(),
            Self::Update(old) => {
                old.iter().map(|(known, note)| json!({"id": known.id, "fields": {"Note": note}})).collect()
            }
            Self::Upsert(old, all) => {
                let old = old.iter().map(|(known, note)| wrap(json!({"Key": known.key, "Note": note})));
                old.chain(all.iter().map(|one| wrap(new(one)))).collect()
            }
            Self::Delete(old) => old.iter().map(|known| json!(known.id)).collect(),
        }
    }

    fn tool(&self) -> (&'static str, Value) {
        let mut arguments =
            json!({"base": harbour::BASE, "table": harbour::SHIPMENTS, "records": self.records(false)});
        let tool = match self {
            Self::Create(_) => "create_records",
            Self::Update(_) => "update_records",
            Self::Upsert(..) => {
                arguments["merge_on"] = json!(["Key"]);
                "upsert_records"
            }
            Self::Delete(_) => "delete_records",
        };
        (tool, arguments)
    }
}

/// What a fault says of a write.
fn of_fault(code: &str, message: &str) -> Said {
    assert_ne!(code, "internal", "{message}");
    let whole = format!("{code}: {message}");
    if code == "outcome_unknown" { Said::Unknown(whole) } else { Said::Refused(whole) }
}

/// What the answer of a tool says of each of `count` records.
pub fn of_tool(answer: &Value, count: usize) -> Vec<Said> {
    if let Some(error) = answer.get("error") {
        // The process went away with the call in it.
        let message = error["message"].as_str().unwrap_or_default();
        assert!(message.contains("is not known"), "{answer}");
        return vec![Said::Unknown(message.to_owned()); count];
    }
    of_result(&answer["result"], count)
}

/// What the result of a tool says of each of `count` records.
pub fn of_result(result: &Value, count: usize) -> Vec<Said> {
    let written = &result["structuredContent"];
    if !written.is_object() {
        let text = result["content"][0]["text"].as_str().unwrap_or_default();
        let (code, message) = text.split_once(": ").unwrap_or((text, ""));
        assert_eq!(result["isError"], true, "{result}");
        return vec![of_fault(code, message); count];
    }
    assert!(written["more_ids"].is_null() && written["more_failed"].is_null(), "{written}");
    let list = |key: &str| written[key].as_array().cloned().unwrap_or_default();
    let (failed, ids) = (list("failed"), list("ids"));
    let mut ids = ids.into_iter();
    let mut said: Vec<Said> = (0..count)
        .filter_map(|at| {
            let fault = failed.iter().find(|failed| failed["index"] == at);
            match fault {
                Some(fault) => {
                    let text = |key: &str| fault[key].as_str().unwrap_or_default();
                    Some(of_fault(text("code"), text("message")))
                }
                None => ids.next().map(|id| Said::Done(id.as_str().unwrap().to_owned())),
            }
        })
        .collect();
    let not_started = written["not_started"].as_u64().unwrap_or(0) as usize;
    said.resize(said.len() + not_started, Said::Refused("not begun".into()));
    assert_eq!((said.len(), ids.count()), (count, 0), "{written}");
    said
}

/// An agent over pipes, with up to `flight` calls at once.
pub fn agent(mut writer: Writer, client: &mut Client, calls: usize, flight: usize) {
    let mut left = calls;
    while left > 0 {
        let orders: Vec<(Order, u64)> = (0..flight.min(left))
            .map(|_| {
                let order = writer.order(24);
                let (tool, arguments) = order.tool();
                let id = client.begin("tools/call", json!({"name": tool, "arguments": arguments}));
                (order, id)
            })
            .collect();
        left -= orders.len();
        for (order, id) in orders {
            let said = of_tool(&client.wait_for(id), order.len());
            writer.note_down(&order, &said);
            seen_at_once(client, &order, &said);
        }
    }
}

/// One's own writes are seen from then on, and deletions do not come back.
fn seen_at_once(client: &mut Client, order: &Order, said: &[Said]) {
    let Some((at, Said::Done(id))) = said.iter().enumerate().find(|(_, said)| matches!(said, Said::Done(_)))
    else {
        return;
    };
    let asked =
        json!({"base": harbour::BASE, "table": harbour::SHIPMENTS, "records": [id], "format": "json"});
    let read = client.call("get_records", asked);
    let note = match order {
        Order::Create(new) => &new[at].1,
        Order::Update(old) => &old[at].1,
        Order::Upsert(old, new) => old.get(at).map_or_else(|| &new[at - old.len()].1, |(_, note)| note),
        Order::Delete(_) => {
            let text = read["content"][0]["text"].as_str().unwrap_or_default();
            assert!(
                read["isError"] == true && text.starts_with("unknown_record"),
                "{id} was deleted: {read}"
            );
            return;
        }
    };
    let fields = &read["structuredContent"]["records"][0]["fields"];
    assert_eq!(fields["Note"], json!(note), "{id} was written, {order:?}: {read}");
}

/// A client of the Web API, one request after the other.
pub fn web_client(mut writer: Writer, address: &str, token: &str, requests: usize) {
    let path = format!("/v0/{}/{}", harbour::BASE, harbour::SHIPMENTS);
    for _ in 0..requests {
        let order = writer.order(10);
        let (method, path, body) = match &order {
            Order::Create(_) => ("POST", path.clone(), json!({"records": order.records(true)})),
            Order::Update(_) => ("PATCH", path.clone(), json!({"records": order.records(true)})),
            Order::Upsert(..) => {
                let how = json!({"fieldsToMergeOn": ["Key"]});
                ("PATCH", path.clone(), json!({"records": order.records(true), "performUpsert": how}))
            }
            Order::Delete(old) => {
                let ids: Vec<String> = old.iter().map(|known| format!("records[]={}", known.id)).collect();
                ("DELETE", format!("{path}?{}", ids.join("&")), Value::Null)
            }
        };
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("Authorization", bearer.as_str())];
        let text = if body.is_null() { String::new() } else { body.to_string() };
        if !text.is_empty() {
            headers.push(("Content-Type", "application/json"));
        }
        let answer = http(address, method, &path, &headers, text.as_bytes());
        // What Airtable itself said, passed on before the table is copied, need not be JSON.
        let json: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let said: Vec<Said> = match answer.status {
            200 => json["records"]
                .as_array()
                .unwrap()
                .iter()
                .map(|record| Said::Done(record["id"].as_str().unwrap().to_owned()))
                .collect(),
            503 if json["error"]["type"] == "RETRIABLE_ERROR" => {
                vec![Said::Refused(json.to_string()); order.len()]
            }
            400..500 => vec![Said::Refused(json.to_string()); order.len()],
            500 | 502 | 503 => vec![Said::Unknown(answer.body.clone()); order.len()],
            status => panic!("{status}: {} {}", answer.head, answer.body),
        };
        writer.note_down(&order, &said);
    }
}

/// Somebody who writes to the base itself; for them nothing goes wrong.
pub fn insider(writer: &mut Writer, client: &mut Client, calls: usize) {
    for _ in 0..calls {
        let order = writer.order(12);
        let (tool, arguments) = order.tool();
        let id = client.begin("tools/call", json!({"name": tool, "arguments": arguments}));
        let said = of_tool(&client.wait_for(id), order.len());
        assert!(said.iter().all(|said| matches!(said, Said::Done(_))), "{said:?}");
        writer.note_down(&order, &said);
    }
}
