//! TLS on the port: who is believed, certificates that change, and clients that do not speak it.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use crate::attachments::{self, BASE, ONE};
use crate::support::{Answer, Client, Data, PATIENCE, http, http_config, http_over, listen};

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A certificate for this machine, and its key.
fn pair() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap()
}

/// Where the certificate and the key of a data directory are.
fn places(data: &Data) -> [PathBuf; 2] {
    ["certificate.pem", "key.pem"].map(|name| data.path().join(name))
}

/// Writes the certificate of one pair and the key of another, or the same.
fn write(data: &Data, certificate: &CertifiedKey<KeyPair>, key: &CertifiedKey<KeyPair>) {
    let [certificate_file, key_file] = places(data);
    std::fs::write(certificate_file, certificate.cert.pem()).unwrap();
    std::fs::write(key_file, key.signing_key.serialize_pem()).unwrap();
}

fn settings(data: &Data, more: &str) -> String {
    let [certificate, key] = places(data);
    http_config(data, &format!("tls_certificate = {certificate:?}\ntls_key = {key:?}\n{more}"))
}

/// A server with TLS; the process and its `HOST:PORT`.
fn serve(data: &Data, more: &str) -> (Client, String) {
    let config = settings(data, more);
    listen(data, &["--config", &config, "--allow-write"], &[("TABLEWRIGHT_LOG_LEVEL", "info")])
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A connection of somebody who believes this certificate alone.
fn secure(address: &str, believed: &CertifiedKey<KeyPair>, protocols: &[&str]) -> Stream {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(believed.cert.der().to_vec())).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    StreamOwned::new(connection, connect(address))
}

/// Shakes hands; what went wrong.
fn shake(stream: &mut Stream) -> Result<(), std::io::Error> {
    stream.conn.complete_io(&mut stream.sock).map(drop)
}

fn get(address: &str, believed: &CertifiedKey<KeyPair>, path: &str, headers: &[(&str, &str)]) -> Answer {
    http_over(&mut secure(address, believed, &[]), address, "GET", path, headers, b"")
}

/// Reads what there is until the server closes.
fn rest(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits until the log says so.
fn logged(client: &mut Client, wanted: &str) -> String {
    loop {
        let line = client.error_line();
        if line.contains(wanted) {
            return line;
        }
    }
}

#[test]
fn mcp_is_served_over_tls_and_every_address_says_so() {
    let (data, pair) = (attachments::data(), pair());
    write(&data, &pair, &pair);
    let scopes = "data.records:read,data.records:write,schema.bases:read";
    let token = data.ok(&["token", "create", "--name", "t", "--scopes", scopes]).trim().to_owned();
    let (_client, address) = serve(&data, "");
    let mut stream = secure(&address, &pair, &["h2", "http/1.1"]);
    shake(&mut stream).unwrap();
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "list_bases", "arguments": {},
        "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                  "io.modelcontextprotocol/clientCapabilities": {}}}});
    let bearer = format!("Bearer {token}");
    let origin = format!("https://{address}");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "list_bases"),
        ("Origin", &origin),
    ];
    let answer = http_over(&mut stream, &address, "POST", "/mcp", &headers, call.to_string().as_bytes());
    assert!(answer.status == 200 && answer.body.contains("Desk"), "{}", answer.body);
    // A page that came without TLS is not of this server.
    let foreign = format!("http://{address}");
    assert_eq!(get(&address, &pair, "/healthz", &[("Origin", &foreign)]).status, 403);

    let upload = json!({"filename": "a.txt", "contentType": "text/plain", "file": "aGVsbG8="}).to_string();
    let path = format!("/v0/{BASE}/{ONE}/Files/uploadAttachment");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let mut stream = secure(&address, &pair, &[]);
    let uploaded = http_over(&mut stream, &address, "POST", &path, &headers, upload.as_bytes());
    let uploaded: Value = serde_json::from_str(&uploaded.body).unwrap();
    let url =
        uploaded["fields"]["fldPFiles00000000"][0]["url"].as_str().unwrap_or_else(|| panic!("{uploaded}"));
    let path = url.strip_prefix(&format!("https://{address}")).unwrap_or_else(|| panic!("{url}"));
    assert_eq!(get(&address, &pair, path, &[]).body, "hello");

    let link = data.ok(&["console"]).trim().to_owned();
    let port = address.rsplit(':').next().unwrap();
    let path = link.strip_prefix(&format!("https://localhost:{port}")).unwrap_or_else(|| panic!("{link}"));
    let entered = get(&address, &pair, path, &[]);
    let cookie = entered.header("set-cookie").unwrap();
    assert!(cookie.ends_with("; Secure"), "{cookie}");
}

#[test]
fn a_certificate_that_changes_is_shown_to_new_connections_and_one_that_does_not_fit_is_not() {
    let (data, [first, second, third]) = (Data::new(), [pair(), pair(), pair()]);
    write(&data, &first, &first);
    let (mut client, address) = serve(&data, "");
    let mut open = secure(&address, &first, &[]);
    shake(&mut open).unwrap();
    let stranger = shake(&mut secure(&address, &second, &[])).unwrap_err();
    assert!(stranger.to_string().contains("certificate"), "{stranger}");

    write(&data, &second, &second);
    // The two files may be looked at between their writes; then there is a warning first.
    logged(&mut client, "the certificate that was just read");
    assert_eq!(get(&address, &second, "/healthz", &[]).status, 200);
    shake(&mut secure(&address, &first, &[])).unwrap_err();

    write(&data, &third, &first);
    let said = logged(&mut client, "WARN");
    assert!(said.contains("http.tls_key") && said.contains("not the key of the first certificate"), "{said}");
    assert!(said.contains("key.pem") && said.contains("the certificate from before"), "{said}");
    std::fs::remove_file(&places(&data)[0]).unwrap();
    let said = logged(&mut client, "certificate.pem: it cannot be read");
    assert!(said.contains("the certificate from before"), "{said}");
    assert_eq!(get(&address, &second, "/healthz", &[]).status, 200);
    write(&data, &third, &third);
    logged(&mut client, "the certificate that was just read");
    assert_eq!(get(&address, &third, "/healthz", &[]).status, 200);

    // Whoever was connected all the time still is.
    assert_eq!(http_over(&mut open, &address, "GET", "/healthz", &[], b"").status, 200);
}

#[test]
fn files_that_cannot_be_used_are_named_at_the_start() {
    let (data, [one, other]) = (Data::new(), [pair(), pair()]);
    let [certificate, key] = places(&data);
    let refused = |settings: &str| {
        let mut client = data.serve(&["--http", "127.0.0.1:0", "--config", settings]);
        let (code, said) = client.ended();
        assert_eq!(code, Some(3), "{said}");
        said
    };
    let said = refused(&settings(&data, ""));
    assert!(
        said.contains("http.tls_certificate") && said.contains("certificate.pem: it cannot be read"),
        "{said}"
    );
    write(&data, &one, &other);
    let said = refused(&settings(&data, ""));
    assert!(
        said.contains("http.tls_key") && said.contains("not the key of the first certificate in"),
        "{said}"
    );
    let text = one.signing_key.serialize_pem();
    std::fs::write(&certificate, &text).unwrap();
    let said = refused(&settings(&data, ""));
    assert!(said.contains("certificate.pem: there is no certificate in it"), "{said}");
    std::fs::write(&certificate, one.cert.pem().replace('\n', "\n!")).unwrap();
    let said = refused(&settings(&data, ""));
    assert!(said.contains("certificate.pem: it is no whole PEM file"), "{said}");
    std::fs::write(&certificate, "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n")
        .unwrap();
    std::fs::write(&key, &text).unwrap();
    let said = refused(&settings(&data, ""));
    assert!(said.contains("certificate.pem: its first certificate cannot be used"), "{said}");
    std::fs::write(&certificate, one.cert.pem()).unwrap();
    std::fs::write(&key, one.cert.pem()).unwrap();
    let said = refused(&settings(&data, ""));
    assert!(said.contains("key.pem: there is no private key in it"), "{said}");
    std::fs::write(&key, text.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY")).unwrap();
    let said = refused(&settings(&data, ""));
    assert!(said.contains("key.pem: the key in it is encrypted"), "{said}");
    std::fs::write(&key, vec![b'x'; 2 << 20]).unwrap();
    let said = refused(&settings(&data, ""));
    assert!(said.contains("key.pem: it has more than 1048576 bytes"), "{said}");
    std::fs::remove_file(&key).unwrap();
    std::fs::create_dir(&key).unwrap();
    let said = refused(&settings(&data, ""));
    assert!(said.contains("key.pem: it is no file"), "{said}");

    for (settings, wanted) in [
        ("tls_key = 'x'", "http.tls_certificate: tls_key needs it"),
        ("tls_certificate = 'x'", "http.tls_key: tls_certificate needs it"),
        (
            "tls_certificate = 'x'\ntls_key = 'x'\npublic_url = 'http://a.example'",
            "http.public_url: it must begin",
        ),
    ] {
        let said = refused(&http_config(&data, settings));
        assert!(said.contains(wanted), "{said}");
    }
}

#[test]
fn certificates_that_vouch_for_the_first_are_sent_with_it() {
    let (data, root) = (Data::new(), KeyPair::generate().unwrap());
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let vouching = authority.self_signed(&root).unwrap();
    let mut between = rcgen::CertificateParams::new(Vec::new()).unwrap();
    between.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    between.distinguished_name.push(rcgen::DnType::CommonName, "between");
    let between_key = KeyPair::generate().unwrap();
    let middle = between.signed_by(&between_key, &rcgen::Issuer::new(authority, &root)).unwrap();
    let signing_key = KeyPair::generate().unwrap();
    let issuer = rcgen::Issuer::new(between, &between_key);
    let cert = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let cert = cert.signed_by(&signing_key, &issuer).unwrap();
    let [certificate, key] = places(&data);
    std::fs::write(certificate, cert.pem() + &middle.pem()).unwrap();
    std::fs::write(key, signing_key.serialize_pem()).unwrap();
    let (_client, address) = serve(&data, "");
    let believed = CertifiedKey { cert: vouching, signing_key: root };
    assert_eq!(get(&address, &believed, "/healthz", &[]).status, 200);
}

#[test]
fn a_request_without_tls_is_told_so_and_no_handshake_holds_up_others() {
    let (data, pair) = (Data::new(), pair());
    write(&data, &pair, &pair);
    let (_client, address) = serve(&data, "header_seconds = 1");
    let answer = http(&address, "POST", "/mcp", &[], b"{}");
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("https://"), "{}", answer.body);

    let mut silent = connect(&address);
    // The beginning of a handshake, and no more; then one whose rest comes in drop by drop.
    let mut half = connect(&address);
    half.write_all(&[22, 3, 1, 0, 200, 1, 0]).unwrap();
    let mut slow = connect(&address);
    slow.write_all(&[22, 3, 1, 64, 0, 1, 0]).unwrap();
    slow.set_read_timeout(Some(std::time::Duration::from_millis(50))).unwrap();
    let began = Instant::now();
    let mut byte = [0];
    let closed = loop {
        assert!(began.elapsed() < PATIENCE, "the server waits for ever");
        match slow.read(&mut byte) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            other => break other,
        }
        let _ = slow.write_all(&[0]);
    };
    assert!(closed.is_err() || closed.is_ok_and(|bytes| bytes == 0), "closed without a word");
    assert_eq!(rest(&mut silent), "");
    assert_eq!(rest(&mut half), "");
    let mut nonsense = connect(&address);
    nonsense.write_all(&[22, 255, 255, 255, 255, 0, 0]).unwrap();
    // The server says no in an alert of TLS.
    let mut said = [0];
    nonsense.read_exact(&mut said).unwrap();
    assert_eq!(said, [21]);
    assert_eq!(get(&address, &pair, "/healthz", &[]).status, 200);
}

#[test]
fn handshakes_count_as_connections_and_one_too_many_hears_so_over_tls() {
    let (data, pair) = (Data::with_shop(), pair());
    write(&data, &pair, &pair);
    let token = data.ok(&["token", "create", "--name", "t"]).trim().to_owned();
    let (_client, address) = serve(&data, "max_connections = 3");
    let mut silent: Vec<TcpStream> = (0..20).map(|_| connect(&address)).collect();
    assert_eq!(get(&address, &pair, "/healthz", &[]).status, 200);
    assert_eq!(rest(&mut silent[0]), "", "the oldest made room");
    let open = format!("GET /sse HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
    let busy: Vec<Stream> = (0..3)
        .map(|_| {
            let mut stream = secure(&address, &pair, &[]);
            stream.write_all(open.as_bytes()).unwrap();
            let mut head = [0; 15];
            stream.read_exact(&mut head).unwrap();
            assert_eq!(&head, b"HTTP/1.1 200 OK");
            stream
        })
        .collect();
    let refused = get(&address, &pair, "/healthz", &[]);
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert!(refused.body.contains("too many connections"), "{}", refused.body);
    drop(busy);
}
