//! Files of attachments: taken in, kept, shown, handed out and dropped.

mod base_files;
mod cloud;
mod elsewhere;
mod fetching;
mod keeping;
mod reading;
mod serving;
mod tools;

use std::io::{Cursor, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Client, Data, HttpServer, PATIENCE, serve_http};

/// A base with one table, `Papers`, with the fields `Name`, `Files` and `Names`, a formula over the files.
pub fn papers(id: &str, name: &str) -> Value {
    json!({
        "base": {"id": id, "name": name},
        "tables": [{
            "id": "tblPapers00000000", "name": "Papers", "primaryFieldId": "fldPName000000000",
            "fields": [
                {"id": "fldPName000000000", "name": "Name", "type": "singleLineText"},
                {"id": "fldPFiles00000000", "name": "Files", "type": "multipleAttachments"},
                {"id": "fldPNames00000000", "name": "Names", "type": "formula",
                 "options": {"formula": "{Files} & ''", "result": {"type": "singleLineText"}}}
            ]
        }],
        "records": {"Papers": [{"id": "recOne00000000000", "fields": {"Name": "one"}},
                               {"id": "recTwo00000000000", "fields": {"Name": "two"}}]}
    })
}

pub const BASE: &str = "appPapers00000000";
pub const ONE: &str = "recOne00000000000";

/// A data directory with the base of papers.
pub fn data() -> Data {
    let data = Data::new();
    import(&data, &papers(BASE, "Desk"));
    data
}

pub fn import(data: &Data, base: &Value) {
    let file = data.path().join("import.json");
    std::fs::write(&file, base.to_string()).unwrap();
    data.import(&file);
}

/// Writes a configuration that allows files from 127.0.0.1 and from the folder `inbox` of the data
/// directory's sibling; the arguments that name it.
pub fn config(data: &Data, more: &str) -> Vec<String> {
    let file = data.path().join("config.toml");
    let text = format!(
        "[fetch]\nallowed_private = [\"127.0.0.1\"]\n[tools]\ntoolsets = [\"all\"]\n[attachments]\n{more}\n"
    );
    std::fs::write(&file, text).unwrap();
    ["--config", &file.display().to_string(), "--allow-write", "--allow-delete"].map(String::from).to_vec()
}

fn strs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

/// A client over standard input and output that may write.
pub fn client(data: &Data, more: &str) -> Client {
    data.serve(&strs(&config(data, more))).initialize()
}

/// A server on HTTP, and a client of it over its socket.
pub fn serve(data: &Data, more: &str) -> (HttpServer, Client) {
    let args = config(data, more);
    let server = serve_http(data, &strs(&args));
    (server, data.serve(&strs(&args)).initialize())
}

pub fn create(client: &mut Client, files: Value) -> Value {
    client.call(
        "create_records",
        json!({"base": BASE, "table": "Papers", "records": [{"Name": "new", "Files": files}]}),
    )
}

/// Creates a record that must be taken; its id.
pub fn created(client: &mut Client, files: Value) -> String {
    let result = create(client, files);
    assert_ne!(result["isError"], true, "{result}");
    result["structuredContent"]["ids"][0].as_str().unwrap().to_owned()
}

/// Creates a record that must be refused; why.
pub fn refusal(client: &mut Client, files: Value) -> String {
    let result = create(client, files);
    assert_eq!(result["isError"], true, "{result}");
    result["structuredContent"]["failed"][0]["message"].as_str().unwrap().to_owned()
}

/// The files of a record, as `get_records` shows them.
pub fn files(client: &mut Client, record: &str) -> Value {
    let read = client.structured(
        "get_records",
        json!({"base": BASE, "table": "Papers", "records": [record], "format": "json"}),
    );
    read["records"][0]["fields"]["Files"].clone()
}

/// A PNG of this size.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    let picture = image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 90]));
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

/// A PNG whose header promises this size and which holds next to nothing.
pub fn bomb(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = png(1, 1);
    // After the mark (8), the length (4) and the name (4) of the header come width and height.
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let sum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |sum, byte| {
        (0..8).fold(
            sum ^ u32::from(*byte),
            |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 },
        )
    })
}

/// A web server on loopback: what it answers is decided by the path.
pub fn web(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answer = std::sync::Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), answer) = (stream, answer.clone()) else { return };
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0u8];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                    head.push(byte[0]);
                }
                let text = String::from_utf8_lossy(&head).into_owned();
                let path = text.split_whitespace().nth(1).unwrap_or("/").to_owned();
                // A client that has seen enough goes away.
                let _ = stream.write_all(&answer(&path));
            });
        }
    });
    address
}

/// An HTTP answer with a body.
pub fn page(kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

pub fn redirect(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .into_bytes()
}

/// An HTTP answer whose body may be anything.
pub struct Got {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Got {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// One request for a URL on a connection of its own.
pub fn get(method: &str, url: &str, headers: &str) -> Got {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    Got { status, head, body: bytes[end + 4..].to_vec() }
}

/// Names of everything under a folder that is a file.
pub fn tree(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(tree(&entry.path()));
        } else {
            found.push(entry.file_name().into_string().unwrap());
        }
    }
    found.sort();
    found
}

/// The blobs of a data directory.
pub fn blobs(data: &Path) -> Vec<String> {
    tree(&data.join("files")).into_iter().filter(|name| name.len() == 64).collect()
}
