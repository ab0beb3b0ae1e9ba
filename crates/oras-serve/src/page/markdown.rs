//! Renders Markdown that clients pushed as HTML without scripts, images, styles or foreign attributes.
//!
//! `pulldown-cmark` escapes texts and addresses. Raw HTML becomes text, a link keeps its address only if it is an
//! `http`, `https` or `mailto` URL, and an image becomes its alternative text.

use maud::{Markup, PreEscaped};
use pulldown_cmark::{
    CodeBlockKind, CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd, html,
};

use super::format::shown;

/// The maximum size of a text in bytes.
pub(super) const MAX_TEXT: usize = 64 << 10;
/// The maximum number of events of the parser. A short text can have many, for example the cells of a table.
const MAX_EVENTS: usize = 20_000;
/// The maximum depth of elements. Browsers are slow with documents that are nested deeply.
const MAX_DEPTH: usize = 32;
/// The level of the headings at the top of a text: the page has its own headings above them.
const TOP_LEVEL: usize = 3;

/// How the single line breaks of a text are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LineBreaks {
    /// As spaces, as Markdown defines.
    Spaces,
    /// As line breaks, for texts that may not be Markdown.
    Kept,
}

/// Renders a text. Only the first [`MAX_TEXT`] bytes are shown.
pub(super) fn render(text: &str, breaks: LineBreaks) -> Markup {
    let text = beginning(text);
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut filter = Filter { open: Vec::new(), heading: TOP_LEVEL - 1, breaks };
    let mut events = Vec::new();
    for event in Parser::new_ext(text, options).take(MAX_EVENTS) {
        events.extend(filter.map(event));
    }
    // Closes the elements that the limit has cut.
    events.extend(filter.open.iter().rev().flatten().map(|end| Event::End(*end)));
    let mut rendered = String::with_capacity(2 * text.len());
    html::push_html(&mut rendered, events.into_iter());
    PreEscaped(rendered)
}

/// Returns the first [`MAX_TEXT`] bytes of a text, without a part of a character at the end.
fn beginning(text: &str) -> &str {
    (0..=MAX_TEXT.min(text.len())).rev().find_map(|end| text.get(..end)).unwrap_or_default()
}

/// Decides how each event is shown: unchanged, as text, or not at all.
struct Filter {
    /// The ends of the open elements; `None` for an element that is left out.
    open: Vec<Option<TagEnd>>,

    /// The level of the last heading.
    heading: usize,
    breaks: LineBreaks,
}

impl Filter {
    fn map<'a>(&mut self, event: Event<'a>) -> Option<Event<'a>> {
        match event {
            Event::Start(tag) => self.begin(tag),
            Event::End(_) => self.open.pop().flatten().map(Event::End),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => {
                Some(Event::Text(plain(&text)))
            }
            Event::Code(text) => Some(Event::Code(plain(&text))),
            Event::SoftBreak if self.breaks == LineBreaks::Kept => Some(Event::HardBreak),
            Event::SoftBreak => Some(Event::SoftBreak),
            Event::HardBreak => Some(Event::HardBreak),
            Event::Rule => Some(Event::Rule),
            // A box of a form would need a label.
            Event::TaskListMarker(is_done) => Some(Event::Text(if is_done { "☑ " } else { "☐ " }.into())),
            Event::InlineMath(_) | Event::DisplayMath(_) | Event::FootnoteReference(_) => None,
        }
    }

    /// Opens an element, or leaves it out and keeps its text.
    fn begin<'a>(&mut self, tag: Tag<'a>) -> Option<Event<'a>> {
        let shown = if self.open.len() >= MAX_DEPTH { None } else { self.allowed(tag) };
        self.open.push(shown.as_ref().map(Tag::to_end));
        shown.map(Event::Start)
    }

    fn allowed<'a>(&mut self, tag: Tag<'a>) -> Option<Tag<'a>> {
        match tag {
            Tag::Heading { level, .. } => {
                // Levels are not skipped, so that screen readers show a correct outline.
                self.heading = (level as usize + TOP_LEVEL - 1).min(self.heading + 1).min(6);
                let level = HeadingLevel::try_from(self.heading).ok()?;
                Some(Tag::Heading { level, id: None, classes: Vec::new(), attrs: Vec::new() })
            }
            // Without the language, which would become a class, and without the alignment, which would become a style.
            Tag::CodeBlock(_) => Some(Tag::CodeBlock(CodeBlockKind::Indented)),
            Tag::Table(columns) => {
                Some(Tag::Table(columns.iter().map(|_| pulldown_cmark::Alignment::None).collect()))
            }
            Tag::Link { link_type, dest_url, .. } => {
                let id = CowStr::Borrowed("");
                is_followed(link_type, &dest_url).then(|| Tag::Link {
                    link_type,
                    dest_url,
                    title: id.clone(),
                    id,
                })
            }
            Tag::BlockQuote(_) => Some(Tag::BlockQuote(None)),
            Tag::Paragraph
            | Tag::List(_)
            | Tag::Item
            | Tag::TableHead
            | Tag::TableRow
            | Tag::TableCell
            | Tag::Emphasis
            | Tag::Strong
            | Tag::Strikethrough => Some(tag),
            // Images, and everything that the options do not enable.
            _ => None,
        }
    }
}

fn is_followed(link_type: LinkType, address: &str) -> bool {
    let scheme = address.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    let is_known = matches!(scheme.as_deref(), Some("http" | "https" | "mailto"));
    // The renderer adds `mailto:` to the address of this type.
    link_type == LinkType::Email || is_known
}

/// Returns true for a URL that a link may have.
pub(super) fn is_web_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty())
        && text.len() <= 2000
        && text.chars().all(|c| c.is_ascii_graphic())
}

fn plain(text: &str) -> CowStr<'static> {
    shown(text, MAX_TEXT).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        render(text, LineBreaks::Spaces).into_string()
    }

    #[test]
    fn renders_common_markdown() {
        assert_eq!(
            of("# A\n\nb *c* **d** `e`"),
            "<h3>A</h3>\n<p>b <em>c</em> <strong>d</strong> <code>e</code></p>\n"
        );
        assert_eq!(of("### A\n# B\n#### C"), "<h3>A</h3>\n<h3>B</h3>\n<h4>C</h4>\n");
        assert_eq!(of("- [x] a\n- [ ] b"), "<ul>\n<li>☑ a</li>\n<li>☐ b</li>\n</ul>\n");
        assert_eq!(of("```rust find\n<a>\n```"), "<pre><code>&lt;a&gt;\n</code></pre>\n");
        assert!(of("|a|\n|-:|\n|b|").contains("<td>b</td>"));
        assert_eq!(
            of("[a](https://b.example/c?d&e)"),
            "<p><a href=\"https://b.example/c?d&amp;e\">a</a></p>\n"
        );
        assert_eq!(of("<a@b.example>"), "<p><a href=\"mailto:a@b.example\">a@b.example</a></p>\n");
        assert_eq!(of("a\nb"), "<p>a\nb</p>\n");
        assert_eq!(render("a\nb", LineBreaks::Kept).into_string(), "<p>a<br />\nb</p>\n");
    }

    #[test]
    fn shows_hostile_markdown_as_text() {
        for (text, rendered) in [
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("a <img src=x onerror=alert(1)> b", "<p>a &lt;img src=x onerror=alert(1)&gt; b</p>\n"),
            ("[a](javascript:alert(1))", "<p>a</p>\n"),
            ("[a](JaVaScRiPt:alert(1))", "<p>a</p>\n"),
            ("[a](&#106;avascript:alert(1))", "<p>a</p>\n"),
            ("[a](data:text/html,x)", "<p>a</p>\n"),
            ("[a](//b.example)", "<p>a</p>\n"),
            ("[a](/v2/)", "<p>a</p>\n"),
            ("[a](#content)", "<p>a</p>\n"),
            ("<javascript:alert(1)>", "<p>javascript:alert(1)</p>\n"),
            ("![a](https://b.example/c.png)", "<p>a</p>\n"),
            ("[![a](x.png)](https://b.example)", "<p><a href=\"https://b.example\">a</a></p>\n"),
            ("[a](https://b\" onclick=\"x)", "<p>[a](https://b&quot; onclick=&quot;x)</p>\n"),
            ("[a](<https://b\" onclick=\"x>)", "<p><a href=\"https://b%22%20onclick=%22x\">a</a></p>\n"),
            ("[a](https://b 'c\" d=\"')", "<p><a href=\"https://b\">a</a></p>\n"),
            ("a\u{202e}b", "<p>a\\u202eb</p>\n"),
        ] {
            assert_eq!(
                of(text).replace("&quot;", "\"").trim(),
                rendered.replace("&quot;", "\"").trim(),
                "{text}"
            );
        }
    }

    #[test]
    fn output_is_bounded_and_balanced() {
        let header = format!("{}\n{}\n", "|a".repeat(500), "|-".repeat(500));
        for text in [
            ">".repeat(60_000),
            "- ".repeat(30_000),
            "*a ".repeat(20_000),
            "[".repeat(60_000),
            "`".repeat(60_000),
            "<".repeat(60_000),
            "[a](https://b) ".repeat(60_000),
            format!("{header}{}", "|x\n".repeat(10_000)),
            "日".repeat(100_000),
        ] {
            let rendered = of(&text);
            assert!(rendered.len() < 2 << 20, "{}", rendered.len());
            for element in ["blockquote", "ul", "li", "p", "a", "td", "table"] {
                let opened = rendered.matches(&format!("<{element}>")).count()
                    + rendered.matches(&format!("<{element} ")).count();
                assert_eq!(opened, rendered.matches(&format!("</{element}>")).count(), "{element}");
            }
        }
    }
}
