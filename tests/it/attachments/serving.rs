//! Files over HTTP: the address is the permission.

use serde_json::json;

use super::*;

#[test]
fn files_by_url_are_shown_with_addresses_that_hand_them_out() {
    let data = data();
    let picture = png(300, 200);
    let sent = picture.clone();
    let web = web(move |_| page("application/octet-stream", &sent));
    let (_server, mut client) = serve(&data, "");
    let record =
        created(&mut client, json!([{"url": format!("{web}/a/b%20c.png?x=1"), "filename": "../café 1.png"}]));
    let shown = files(&mut client, &record)[0].clone();
    assert_eq!(
        (&shown["filename"], &shown["type"], &shown["width"], &shown["height"]),
        (&json!("café 1.png"), &json!("image/png"), &json!(300), &json!(200)),
        "{shown}"
    );
    assert_eq!(shown["size"], picture.len());
    let url = shown["url"].as_str().unwrap();
    let got = get("GET", url, "");
    assert_eq!((got.status, &got.body), (200, &picture), "{}", got.head);
    for (name, value) in [
        ("content-type", "image/png"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox; default-src 'none'"),
        ("cache-control", "private"),
        ("content-disposition", "inline; filename=\"caf_ 1.png\"; filename*=UTF-8''caf%C3%A9%201.png"),
        ("content-length", picture.len().to_string().as_str()),
    ] {
        assert_eq!(got.header(name), Some(value), "{name}: {}", got.head);
    }
    let head = get("HEAD", url, "");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some(picture.len().to_string().as_str()));
    let part = get("GET", url, "Range: bytes=1-3\r\n");
    assert_eq!((part.status, part.body.as_slice()), (206, b"PNG".as_slice()));
    assert_eq!(get("POST", url, "Content-Length: 0\r\n").status, 405);
    for (size, width, height) in [("small", 54, 36), ("large", 300, 200), ("full", 300, 200)] {
        let about = &shown["thumbnails"][size];
        assert_eq!((&about["width"], &about["height"]), (&json!(width), &json!(height)), "{size}");
        let got = get("GET", about["url"].as_str().unwrap(), "");
        let read = image::load_from_memory(&got.body).unwrap();
        assert_eq!((got.status, read.width(), read.height()), (200, width, height), "{size}");
    }
    assert!(tree(&data.path().join("files")).iter().any(|name| name.ends_with("-small.png")), "kept");
    let names = client.text("list_records", json!({"base": BASE, "table": "Papers", "fields": ["Names"]}));
    assert!(names.contains("café 1.png"), "{names}");
}

#[test]
fn what_could_run_is_only_handed_out_to_be_saved() {
    let data = data();
    let web = web(|path| match path {
        "/a.svg" => page("image/png", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        "/a.html" => page("text/plain", b"<!doctype html><script>alert(1)</script>"),
        "/a.xml" => {
            page("text/plain", b"<?xml version='1.0'?><x:script xmlns:x='http://www.w3.org/1999/xhtml'/>")
        }
        "/a.pdf" => page("text/html", b"%PDF-1.7\n"),
        "/a.png" => page("image/png", b"\x01\x02 no picture"),
        _ => page("text/html", b"plain words <b>, no markup at the start"),
    });
    let (_server, mut client) = serve(&data, "");
    for (path, kind, served) in [
        ("/a.svg", "image/svg+xml", None),
        ("/a.html", "text/html", None),
        ("/a.xml", "text/html", None),
        ("/a.pdf", "application/pdf", None),
        ("/a.png", "application/octet-stream", None),
        ("/a.txt", "text/plain", Some("text/plain; charset=utf-8")),
    ] {
        let record = created(&mut client, json!([{"url": format!("{web}{path}")}]));
        let shown = files(&mut client, &record)[0].clone();
        assert_eq!((&shown["type"], shown.get("thumbnails")), (&json!(kind), None), "{path}");
        let got = get("GET", shown["url"].as_str().unwrap(), "");
        assert_eq!(got.status, 200);
        let how = got.header("content-disposition").unwrap();
        let expected = if served.is_some() { "inline" } else { "attachment" };
        assert!(how.starts_with(expected), "{path}: {how}");
        assert_eq!(got.header("content-type"), Some(served.unwrap_or("application/octet-stream")), "{path}");
        assert_eq!(got.header("content-security-policy"), Some("sandbox; default-src 'none'"));
        assert_eq!(got.header("x-content-type-options"), Some("nosniff"));
    }
}

#[test]
fn addresses_that_were_changed_or_whose_file_is_gone_open_nothing() {
    let data = data();
    let web = web(|_| page("text/plain", b"words"));
    let (server, mut client) = serve(&data, "");
    let record =
        created(&mut client, json!([{"url": format!("{web}/a.txt")}, {"url": format!("{web}/b.txt")}]));
    let shown = files(&mut client, &record);
    let url = shown[0]["url"].as_str().unwrap().to_owned();
    let parts: Vec<&str> = url.rsplitn(6, '/').collect();
    let [name, variant, signature, expires, id, start] = parts[..] else { panic!("{url}") };
    let other = shown[1]["id"].as_str().unwrap();
    let later = format!("{:x}", u64::from_str_radix(expires, 16).unwrap() + 1);
    for (changed, why) in [
        (format!("{start}/{other}/{expires}/{signature}/{variant}/{name}"), "another file"),
        (format!("{start}/{id}/{later}/{signature}/{variant}/{name}"), "another time"),
        (format!("{start}/{id}/{expires}/{signature}/full/{name}"), "another size"),
        (format!("{start}/{id}/{expires}/{}A/{variant}/{name}", &signature[1..]), "another signature"),
        (format!("{start}/{id}/{expires}/x/{variant}/{name}"), "no signature"),
        (format!("{start}/..%2f..%2ftablewright.db/{expires}/{signature}/{variant}/{name}"), "no id"),
    ] {
        let got = get("GET", &changed, "");
        assert_eq!(got.status, 403, "{why}");
        assert!(!String::from_utf8_lossy(&got.body).contains("words"));
    }
    for path in ["files/", "files/link.key", "files/../tablewright.db", "files/a/b/c/d/e/f"] {
        assert_eq!(get("GET", &format!("http://{}/{path}", server.address), "").status, 404, "{path}");
    }
    assert_eq!(get("GET", &url, "").body, b"words");
    assert_eq!(get("GET", &url.replace("a.txt", "b.txt"), "").status, 200, "the name is only a name");
    data.ok(&["base", "delete", BASE, "--yes"]);
    let gone = get("GET", &url, "");
    assert_eq!((gone.status, gone.header("content-security-policy").is_some()), (404, true));
}

#[test]
fn images_that_would_burst_are_kept_and_never_unpacked() {
    let data = data();
    let web = web(|path| {
        page("image/png", &if path == "/huge.png" { bomb(60_000, 60_000) } else { bomb(900, 900) })
    });
    let (_server, mut client) = serve(&data, "");
    let record = created(
        &mut client,
        json!([{"url": format!("{web}/huge.png")}, {"url": format!("{web}/short.png")}]),
    );
    let shown = files(&mut client, &record);
    assert_eq!((&shown[0]["width"], shown[0].get("thumbnails")), (&json!(60_000), None));
    let which = |name: &str| json!({"base": BASE, "table": "Papers", "record": record, "field": "Files", "which": name});
    let said = client.text("get_attachment", which("huge.png"));
    assert!(said.contains("60000 x 60000") && said.contains("up to 40 megapixels"), "{said}");
    // A header that promises more than there is: the file stays, its smaller sizes are not there.
    let small = get("GET", shown[1]["thumbnails"]["small"]["url"].as_str().unwrap(), "");
    assert_eq!(small.status, 404, "{}", small.head);
    assert!(client.text("get_attachment", which("short.png")).contains("cannot be scaled"));
    assert_eq!(get("GET", shown[0]["url"].as_str().unwrap(), "").status, 200);
}
