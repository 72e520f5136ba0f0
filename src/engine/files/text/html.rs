//! HTML as Markdown.

use std::borrow::Cow;

use htmd::element_handler::Handlers;
use htmd::{Element, HtmlToMarkdown};

use super::{About, FileText, MAX_TEXT, charset, cut, longer};

/// Elements whose content nobody reads.
const LEFT_OUT: [&str; 6] = ["script", "style", "template", "noscript", "svg", "iframe"];

/// The text of an HTML file.
pub(super) fn read(bytes: &[u8]) -> FileText {
    let (html, _) = charset::decode_html(bytes);
    let converter = HtmlToMarkdown::builder()
        .skip_tags(LEFT_OUT.to_vec())
        .add_handler(vec!["img"], |_: &dyn Handlers, element: Element| Some(image(&element).into()))
        .build();
    let Ok(mut text) = converter.convert(&html) else {
        return FileText { text: String::new(), about: About::refused("it is no HTML that can be read") };
    };
    let mut about = About::remark("HTML, as Markdown");
    if cut(&mut text, MAX_TEXT) {
        about.remarks.push(longer());
    }
    FileText { text, about }
}

/// A picture in the text: its words and address, but none that carries the picture itself.
fn image(element: &Element) -> String {
    let attribute = |name: &str| {
        let found = element.attrs.iter().find(|attribute| &*attribute.name.local == name);
        found.map(|attribute| attribute.value.to_string()).unwrap_or_default()
    };
    let address = attribute("src");
    let address = if address.starts_with("data:") { Cow::Borrowed("") } else { Cow::Owned(address) };
    match (attribute("alt"), &*address) {
        (words, "") if words.is_empty() => String::new(),
        (words, address) => format!("![{words}]({address})"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn pages_become_markdown_without_what_nobody_reads() {
        let page =
            b"<!doctype html><title>T</title><script>x=1</script><style>p{}</style><h1>Hi &amp; ho</h1>
            <p>a <b>bold</b> <a href='https://example.org/'>link</a> <img src='data:image/png;base64,AAAA'>
            <img alt='a dog' src='d.png'></p><table><tr><th>A<th>B<tr><td>1<td>2</table>";
        let read = super::read(page);
        for part in ["# Hi & ho", "**bold** [link](https://example.org/)", "![a dog](d.png)", "| 1 | 2 |"] {
            assert!(read.text.contains(part), "{part}: {}", read.text);
        }
        assert!(!read.text.contains("x=1") && !read.text.contains("AAAA"), "{}", read.text);
        assert_eq!(super::read(b"").text, "");
    }
}
