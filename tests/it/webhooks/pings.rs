//! Pings: signed, tried again, given up, and never to a private address.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use tablewright_core::model::WebhookId;
use tablewright_door::webhooks::Webhook;

use super::{BASE, DAY, GOODS, LAMP, Rig, base, data, record, until, with_shop};
use crate::support::PATIENCE;

/// A ping as it came in.
pub struct Got {
    pub signature: String,
    pub body: Vec<u8>,
}

/// A program that listens for pings.
pub struct Receiving {
    pub url: String,
    /// The status it answers with.
    pub status: Arc<AtomicU16>,
    got: Mutex<Receiver<Got>>,
}

impl Receiving {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/told", listener.local_addr().unwrap());
        let status = Arc::new(AtomicU16::new(204));
        let (sender, got) = channel();
        let says = status.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut length, mut signature, mut line) = (0, String::new(), String::new());
                while reader.read_line(&mut line).is_ok_and(|n| n > 0) && line != "\r\n" {
                    if let Some((name, value)) = line.trim_end().split_once(": ") {
                        match name.to_lowercase().as_str() {
                            "content-length" => length = value.parse().unwrap(),
                            "x-airtable-content-mac" => signature = value.to_owned(),
                            _ => {}
                        }
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                if reader.read_exact(&mut body).is_err() {
                    continue;
                }
                let status = says.load(Ordering::SeqCst);
                let _ =
                    write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                if sender.send(Got { signature, body }).is_err() {
                    return;
                }
            }
        });
        Self { url, status, got: Mutex::new(got) }
    }

    pub fn next(&self) -> Got {
        self.got.lock().unwrap().recv_timeout(PATIENCE).expect("no ping came")
    }

    pub fn is_quiet(&self) -> bool {
        self.got.lock().unwrap().try_recv().is_err()
    }
}

/// The signature of `body` that Airtable's clients work out.
pub fn expected(secret: &str, body: &[u8]) -> String {
    use base64::Engine;
    let key = base64::engine::general_purpose::STANDARD.decode(secret).unwrap();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    format!("hmac-sha256={hex}")
}

async fn listed(rig: &Rig, id: WebhookId) -> Webhook {
    let all = rig.webhooks.list(&mut rig.call().await, base()).await.unwrap();
    all.into_iter().find(|hook| hook.stored.id == id).unwrap()
}

/// Waits until the last ping went like this; how it went.
async fn result(rig: &Rig, id: WebhookId, is_it: impl Fn(&Value) -> bool) -> Webhook {
    until("the ping", async || {
        let hook = listed(rig, id).await;
        hook.stored.result.as_ref().is_some_and(&is_it).then_some(hook)
    })
    .await
}

async fn sell(rig: &Rig, stock: i64) {
    rig.set(GOODS, record(LAMP), json!({"Stock": stock})).await;
}

#[test]
fn a_ping_says_where_to_look_and_is_signed() {
    with_shop(async |directory, clock| {
        let receiving = Receiving::start();
        let rig = Rig::open(&directory, &clock).await;
        let made = rig.create(data(), Some(&receiving.url)).await.unwrap();
        assert!(receiving.is_quiet(), "nothing to tell yet");
        sell(&rig, 1).await;
        let got = receiving.next();
        let body: Value = serde_json::from_slice(&got.body).unwrap();
        assert_eq!(
            body,
            json!({"base": {"id": BASE}, "webhook": {"id": made.id}, "timestamp": "2001-09-09T01:46:40.000Z"})
        );
        assert_eq!(got.signature, expected(made.secret.reveal(), &got.body));
        let hook = result(&rig, made.id, |r| r["success"] == true).await;
        assert_eq!(hook.stored.told_at, Some(1_000_000_000_000));
        let result = hook.stored.result.unwrap();
        assert_eq!((&result["retryNumber"], result.get("error")), (&json!(0), None));
        assert!(result["durationMs"].is_number());
        assert_eq!(result["completionTimestamp"], "2001-09-09T01:46:40.000Z");
        rig.close().await;
    });
}

#[test]
fn a_ping_that_fails_goes_out_again_later_and_later_even_after_a_restart() {
    with_shop(async |directory, clock| {
        let receiving = Receiving::start();
        receiving.status.store(500, Ordering::SeqCst);
        let mut rig = Rig::open(&directory, &clock).await;
        let id = rig.create(data(), Some(&receiving.url)).await.unwrap().id;
        sell(&rig, 1).await;
        let mut wait = 10_000;
        for retry in 0..=13 {
            receiving.next();
            let hook = result(&rig, id, |r| r["retryNumber"] == retry).await;
            let result = hook.stored.result.clone().unwrap();
            assert_eq!((&result["success"], &result["willBeRetried"]), (&json!(false), &json!(retry < 13)));
            assert!(result["error"]["message"].as_str().unwrap().contains("500"), "{result}");
            assert_eq!(hook.stored.notifies, retry < 13, "switched off after the last one");
            if retry == 4 {
                rig.close().await;
                rig = Rig::open(&directory, &clock).await;
            }
            // More to tell meanwhile is told by the same ping.
            sell(&rig, 2 + retry).await;
            rig.advance(wait - 1);
            rig.page(id, 1, 1).await.unwrap();
            assert!(receiving.is_quiet(), "retry {retry} came too early");
            rig.advance(1);
            wait *= 2;
        }
        receiving.status.store(200, Ordering::SeqCst);
        rig.advance(DAY);
        sell(&rig, 90).await;
        assert_eq!(rig.heard(id).await.len(), 16, "payloads go on");
        assert!(receiving.is_quiet());
        rig.webhooks.enable_pings(&mut rig.call().await, base(), id, true).await.unwrap();
        receiving.next();
        let hook = result(&rig, id, |r| r["success"] == true).await;
        assert!(hook.stored.notifies);
        rig.close().await;
    });
}

#[test]
fn pings_that_are_switched_off_are_not_sent() {
    with_shop(async |directory, clock| {
        let receiving = Receiving::start();
        let rig = Rig::open(&directory, &clock).await;
        let id = rig.create(data(), Some(&receiving.url)).await.unwrap().id;
        let other = rig.create(data(), Some(&receiving.url)).await.unwrap().id;
        rig.webhooks.enable_pings(&mut rig.call().await, base(), id, false).await.unwrap();
        sell(&rig, 1).await;
        let body: Value = serde_json::from_slice(&receiving.next().body).unwrap();
        assert_eq!(body["webhook"]["id"], other.to_string());
        result(&rig, other, |r| r["success"] == true).await;
        let hook = listed(&rig, id).await;
        assert!(receiving.is_quiet() && !hook.stored.notifies && hook.stored.result.is_none());
        assert_eq!(rig.heard(id).await.len(), 1);
        rig.close().await;
    });
}

#[test]
fn a_hundred_commits_while_a_ping_is_under_way_are_told_by_one_more() {
    with_shop(async |directory, clock| {
        let receiving = Receiving::start();
        receiving.status.store(503, Ordering::SeqCst);
        let rig = Rig::open(&directory, &clock).await;
        let id = rig.create(data(), Some(&receiving.url)).await.unwrap().id;
        sell(&rig, 1).await;
        receiving.next();
        result(&rig, id, |r| r["retryNumber"] == 0).await;
        receiving.status.store(204, Ordering::SeqCst);
        for stock in 100..200 {
            sell(&rig, stock).await;
        }
        assert_eq!(rig.heard(id).await.len(), 101);
        rig.advance(10_000);
        receiving.next();
        result(&rig, id, |r| r["success"] == true && r["retryNumber"] == 1).await;
        rig.advance(DAY);
        rig.heard(id).await;
        assert!(receiving.is_quiet(), "everything was told");
        rig.close().await;
    });
}

#[test]
fn private_addresses_are_refused_when_a_webhook_is_made() {
    with_shop(async |directory, clock| {
        let rig = Rig::open(&directory, &clock).await;
        for url in
            ["http://10.0.0.1/x", "http://169.254.169.254/", "http://[::1]:80/", "ftp://example.org/", "x"]
        {
            let fault = rig.create(data(), Some(url)).await.unwrap_err();
            assert!(fault.message.starts_with("notificationUrl: "), "{url}: {fault}");
        }
        rig.close().await;
    });
}
