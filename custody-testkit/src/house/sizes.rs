//! How long a source file and a function may be.
#![expect(clippy::panic, reason = "a check of a file that cannot be parsed must fail")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proc_macro2::Span;
use syn::visit::{self, Visit};

use super::workspace::read_text;
use super::{Member, Violation, Workspace};

/// Finds source files over 400 lines and functions over 70 lines, both without tests.
///
/// Test code is a module under `#[cfg(test)]`, in its own file or not, and whatever lies in a
/// `tests` folder of a package.
#[must_use]
pub fn sizes(workspace: &Workspace) -> Vec<Violation> {
    workspace.members.iter().flat_map(|member| sizes_of(workspace, member)).collect()
}

fn sizes_of(workspace: &Workspace, member: &Member) -> Vec<Violation> {
    let tests = member.folder.join("tests");
    let files: Vec<_> = member
        .sources()
        .into_iter()
        .filter(|path| !path.starts_with(&tests))
        .map(|path| Measured::read(&path))
        .collect();
    let test_files: BTreeSet<_> = files.iter().flat_map(|file| &file.test_files).collect();
    let is_test = |path: &Path| path.ancestors().any(|part| test_files.contains(&part.to_owned()));
    let judge = |file: &Measured| file.violations(&workspace.shown(&file.path));
    files.iter().filter(|file| !is_test(&file.path)).flat_map(judge).collect()
}

/// A source file and the lengths in it.
struct Measured {
    path: PathBuf,
    lines: usize,
    functions: Vec<(String, usize)>,
    /// Lines of the test modules inside the file.
    test_lines: usize,
    /// The files and folders of the test modules outside the file.
    test_files: Vec<PathBuf>,
}

impl Measured {
    fn read(path: &Path) -> Self {
        let text = read_text(path);
        let file = syn::parse_file(&text);
        let file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut measured = Self {
            path: path.to_owned(),
            lines: text.lines().count(),
            functions: Vec::new(),
            test_lines: 0,
            test_files: Vec::new(),
        };
        measured.visit_file(&file);
        measured
    }

    fn violations(&self, place: &str) -> Vec<Violation> {
        let lines = self.lines.saturating_sub(self.test_lines);
        let file = (lines > FILE_LINES_MAX)
            .then(|| Violation::new(place, format!("{lines} lines without tests")));
        let functions = self.functions.iter().filter(|(_, lines)| *lines > FUNCTION_LINES_MAX);
        let functions = functions
            .map(|(name, lines)| Violation::new(place, format!("function {name}: {lines} lines")));
        file.into_iter().chain(functions).collect()
    }

    fn measure(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let lines = line_count(signature.fn_token.span, block.brace_token.span.close());
        self.functions.push((signature.ident.to_string(), lines));
    }

    fn note_test_module(&mut self, module: &syn::ItemMod) {
        if let Some((brace, _)) = &module.content {
            let first = module.attrs.first().map_or(module.mod_token.span, |a| a.pound_token.span);
            let lines = line_count(first, brace.span.close());
            self.test_lines = self.test_lines.saturating_add(lines);
            return;
        }
        let name = module.ident.to_string();
        let folder = self.path.parent().unwrap_or(Path::new(""));
        for folder in [folder.to_owned(), self.path.with_extension("")] {
            self.test_files.push(folder.join(&name));
            self.test_files.push(folder.join(&name).with_extension("rs"));
        }
    }
}

impl<'ast> Visit<'ast> for Measured {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.attrs.iter().any(is_test_only) {
            self.note_test_module(module);
        } else {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.measure(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.measure(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.measure(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

/// `#[cfg(test)]` and `#[cfg(all(test, ...))]`.
fn is_test_only(attribute: &syn::Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else { return false };
    let condition = list.tokens.to_string().replace(' ', "");
    list.path.is_ident("cfg") && (condition == "test" || condition.starts_with("all(test,"))
}

fn line_count(first: Span, last: Span) -> usize {
    last.end().line.saturating_sub(first.start().line).saturating_add(1)
}

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
