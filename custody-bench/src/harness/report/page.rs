//! The page: its style, its tables, its plots. It loads nothing.

use super::plot::escape;
use super::{Table, charts, environment, settings, tables, title, warnings};
use crate::harness::document::Run;
use crate::harness::histogram::HistogramError;

pub(super) fn page(run: &Run) -> Result<String, HistogramError> {
    let name = escape(&title(run));
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{name}</h1>\n"
    );
    for warning in warnings(run) {
        html.push_str(&format!("<p class=\"warning\">{}</p>\n", escape(warning)));
    }
    html.push_str("<div class=\"pair\">\n");
    for told in [settings(run), environment(run)] {
        html.push_str(&table(&told, "names"));
    }
    html.push_str("</div>\n<div class=\"plots\">\n");
    charts::figures(run)?.iter().for_each(|figure| html.push_str(figure));
    html.push_str("</div>\n");
    for told in tables(run) {
        html.push_str(&table(&told, "figures"));
    }
    html.push_str("</main>\n</body>\n</html>\n");
    Ok(html)
}

fn table(table: &Table, class: &str) -> String {
    let mut html = format!("<section>\n<h2>{}</h2>\n", escape(table.title));
    if !table.note.is_empty() {
        html.push_str(&format!("<p>{}</p>\n", escape(table.note)));
    }
    html.push_str(&format!("<div class=\"wide\"><table class=\"{class}\">\n<thead><tr>"));
    table.head.iter().for_each(|cell| html.push_str(&format!("<th>{}</th>", escape(cell))));
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        html.push_str("<tr>");
        row.iter().for_each(|cell| html.push_str(&format!("<td>{}</td>", escape(cell))));
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table></div>\n</section>\n");
    html
}

/// Eight colours that people with any sight tell apart (Okabe and Ito 2008), darker on white; and
/// dashes, so that a print in grey does too.
const STYLE: &str = "\
:root { color-scheme: light dark; --ground: #fff; --text: #1b1f24; --soft: #57606a; --grid: #e2e5e9;
  --warn: #8a4500; --s0: #0072b2; --s1: #c24d00; --s2: #00805c; --s3: #a03a7a; --s4: #806000;
  --s5: #2a7ea8; --s6: #b02a2a; --s7: #444c56; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171b; --text: #e6e9ed; --soft: #a3acb8;
  --grid: #30363d; --warn: #ffb05c; --s0: #5cb3e8; --s1: #ff9a52; --s2: #3fd0a0; --s3: #e89ac8;
  --s4: #e8cc4a; --s5: #8fd4f5; --s6: #ff8a8a; --s7: #b8c0ca; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 26px; line-height: 1.25; } h2 { font-size: 19px; margin: 32px 0 8px; }
h3 { font-size: 15px; margin: 0 0 6px; }
.warning { color: var(--warn); font-weight: 600; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(380px, 100%), 1fr));
  gap: 0 40px; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(480px, 100%), 1fr));
  gap: 36px 40px; margin-top: 36px; }
figure { margin: 0; min-width: 0; break-inside: avoid; }
figure > svg { width: 100%; height: auto; display: block; overflow: visible; }
figcaption { color: var(--soft); font-size: 13px; margin-top: 6px; }
svg text { font: 13px system-ui, sans-serif; fill: var(--text); }
svg text.end { text-anchor: end; } svg text.mid { text-anchor: middle; }
.grid { stroke: var(--grid); fill: none; } .axis { stroke: var(--soft); fill: none; }
.line { fill: none; stroke: var(--c); stroke-width: 2; } .dot { fill: var(--c); }
.ring { fill: none; stroke: var(--c); stroke-width: 2; } .fill { fill: var(--c); }
rect.fill { stroke: var(--ground); stroke-width: 1; }
.s0 { --c: var(--s0); } .s1 { --c: var(--s1); } .s2 { --c: var(--s2); } .s3 { --c: var(--s3); }
.s4 { --c: var(--s4); } .s5 { --c: var(--s5); } .s6 { --c: var(--s6); } .s7 { --c: var(--s7); }
.line.s1 { stroke-dasharray: 7 3; } .line.s2 { stroke-dasharray: 2 3; }
.line.s3 { stroke-dasharray: 9 3 2 3; } .line.s4 { stroke-dasharray: 12 4; }
.line.s5 { stroke-dasharray: 4 2; } .line.s6 { stroke-dasharray: 9 3 2 3 2 3; }
.line.s7 { stroke-dasharray: 1 4; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 6px 0 0;
  padding: 0; font-size: 13px; }
.legend svg { margin-right: 7px; vertical-align: -1px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; width: 100%; }
th, td { text-align: left; padding: 3px 14px 3px 0; border-bottom: 1px solid var(--grid);
  vertical-align: top; }
th { color: var(--soft); font-weight: 600; }
.names td { overflow-wrap: anywhere; } .names td:first-child { width: 34%; color: var(--soft); }
.figures td, .figures th { white-space: nowrap; font-variant-numeric: tabular-nums; }
.figures td:last-child { white-space: normal; }
@media print { :root { color-scheme: light; --ground: #fff; --text: #000; --soft: #333;
  --grid: #ccc; --warn: #000; --s0: #0072b2; --s1: #c24d00; --s2: #00805c; --s3: #a03a7a;
  --s4: #806000; --s5: #2a7ea8; --s6: #b02a2a; --s7: #444c56; }
  @page { margin: 14mm; } main { max-width: none; padding: 0; } body { font-size: 11px; }
  .plots { grid-template-columns: 150mm; gap: 20px; } .wide { overflow: visible; }
  table { font-size: 9px; } tr { break-inside: avoid; } th, td { padding-right: 6px; }
  .figures td, .figures th { white-space: normal; overflow-wrap: anywhere; }
  * { print-color-adjust: exact; } }
";
