//! The text of PDF files, page by page.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pdf_extract::{ConvertToFmt, Document, PlainTextOutput, output_doc_page};

use super::{About, MAX_TEXT, longer};

/// Most pages that are read.
const MAX_PAGES: usize = 5_000;
/// Most pages that are named one by one.
const MAX_NAMED: usize = 10;

/// A page's text, which stops its writer once it is as long as it may be.
struct Bounded<'a> {
    text: &'a mut String,
    most: usize,
}

impl fmt::Write for Bounded<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.text.len() + piece.len() > self.most {
            return Err(fmt::Error);
        }
        self.text.push_str(piece);
        Ok(())
    }
}

impl<'a> ConvertToFmt for Bounded<'a> {
    type Writer = Bounded<'a>;

    fn convert(self) -> Self::Writer {
        self
    }
}

/// Hands out the text of a PDF file, a page at a time; what is to be said about it. The crates that
/// read PDF panic on many files that are broken: such a page is left out and named.
pub(super) fn read(bytes: &[u8], page: &mut dyn FnMut(&str)) -> About {
    let damaged = || About::refused("the PDF is damaged and cannot be read");
    let Ok(Ok(mut document)) = catch_unwind(|| Document::load_mem(bytes)) else { return damaged() };
    if document.is_encrypted() {
        // Many that are encrypted only restrict what may be done with them and open without a password.
        let opened = catch_unwind(AssertUnwindSafe(|| document.decrypt("")));
        if !matches!(opened, Ok(Ok(()))) {
            return About::refused("the PDF is encrypted and needs a password; there is no way to give one");
        }
    }
    let Ok(pages) = catch_unwind(AssertUnwindSafe(|| document.page_iter().take(MAX_PAGES + 1).count()))
    else {
        return damaged();
    };
    if pages == 0 {
        return damaged();
    }
    let (mut length, mut said, mut full) = (0, false, false);
    let mut unread = Vec::new();
    for number in 1..=pages.min(MAX_PAGES) {
        let mut text = String::new();
        let most = MAX_TEXT.saturating_sub(length);
        let done = catch_unwind(AssertUnwindSafe(|| {
            let mut output = PlainTextOutput::new(Bounded { text: &mut text, most });
            output_doc_page(&document, &mut output, number as u32)
        }));
        said |= text.chars().any(|c| !c.is_whitespace());
        let mut shown = if pages > 1 { format!("--- page {number} ---\n") } else { String::new() };
        shown.push_str(text.trim_matches('\n'));
        shown.push('\n');
        length += shown.len();
        page(&shown);
        match done {
            Ok(Ok(())) => {}
            // The writer has had enough, or a page is broken: its length tells which.
            _ if text.len() + 64 > most => {
                full = true;
                break;
            }
            _ => unread.push(number),
        }
    }
    if !said && !full {
        let why = match unread.len() {
            n if n == pages => "the PDF is damaged and none of its pages can be read".to_owned(),
            _ => format!(
                "the PDF has {pages} page(s) and no text; they are probably scanned images, and text in images is not recognised"
            ),
        };
        return About::refused(why);
    }
    let mut about = About::remark(format!("the text of a PDF of {} page(s)", pages.min(MAX_PAGES)));
    if pages > MAX_PAGES {
        about.remarks.push(format!("there are more pages than the {MAX_PAGES} that are read"));
    }
    if full {
        about.remarks.push(longer());
    }
    if !unread.is_empty() {
        let named: Vec<String> = unread.iter().take(MAX_NAMED).map(usize::to_string).collect();
        let more = if unread.len() > MAX_NAMED { ", …" } else { "" };
        about.remarks.push(format!("broken, so not all of it is read: page {}{more}", named.join(", ")));
    }
    about
}
