//! Finds the tools that the body of a request to an MCP server calls.

use std::borrow::Cow;

use super::json::{Malformed, Reader, Text};

/// The largest number of messages in one body (JSON-RPC 2.0 §6).
pub(super) const MAX_BATCH: usize = 128;

/// The longest tool name, in bytes of its JSON spelling. The MCP specification recommends at most 128 characters.
const MAX_TOOL_NAME: usize = 1024;

/// Why the calls of a body cannot be determined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unclear {
    /// The service behind this layer might read the message differently.
    Message,
    /// The batch has more than [`MAX_BATCH`] messages.
    Batch,
}

impl From<Malformed> for Unclear {
    fn from(_: Malformed) -> Self {
        Self::Message
    }
}

/// Calls `call` with the name of each tool that `body` calls. `body` is a JSON-RPC message or a batch of them.
///
/// # Errors
///
/// [`Unclear`]. The calls before the error have been passed to `call` by then.
pub(super) fn each_call(body: &[u8], mut call: impl FnMut(&str)) -> Result<(), Unclear> {
    let mut reader = Reader::new(body)?;
    let mut message = |reader: &mut Reader<'_>| -> Result<(), Unclear> {
        if let Some(tool) = read_message(reader)? {
            call(&tool);
        }
        Ok(())
    };
    if reader.peek() == Some(b'[') {
        let mut left = MAX_BATCH;
        reader.array(|reader| {
            left = left.checked_sub(1).ok_or(Unclear::Batch)?;
            message(reader)
        })?;
    } else {
        message(&mut reader)?;
    }
    Ok(reader.end()?)
}

/// Reads a message, and returns the tool that it calls, if any.
fn read_message<'a>(reader: &mut Reader<'a>) -> Result<Option<Cow<'a, str>>, Unclear> {
    let (mut method, mut params) = (None, None);
    reader.object(|reader, name| {
        match which(name, ["method", "params"]) {
            Member::Is("method") if method.is_none() => method = Some(reader.string()?),
            Member::Is("params") if params.is_none() => params = Some(read_params(reader)?),
            Member::Is(_) | Member::Like => return Err(Unclear::Message),
            Member::Other => reader.skip()?,
        }
        Ok(())
    })?;
    let calls = |method: Text<'_>| method.decode(longest("tools/call")).is_some_and(|method| method == "tools/call");
    if !method.is_some_and(calls) {
        return Ok(None);
    }
    match params {
        Some(Params::Call(name)) => name.decode(MAX_TOOL_NAME).map(Some).ok_or(Unclear::Message),
        _ => Err(Unclear::Message),
    }
}

/// The parameters of a message.
enum Params<'a> {
    /// They name exactly one tool.
    Call(Text<'a>),
    /// They name no tool, or not unambiguously.
    Other,
}

/// Reads the parameters of a message.
fn read_params<'a>(reader: &mut Reader<'a>) -> Result<Params<'a>, Malformed> {
    if reader.peek() != Some(b'{') {
        reader.skip()?;
        return Ok(Params::Other);
    }
    let (mut tool, mut is_clear) = (None, true);
    reader.object(|reader, name| {
        match which(name, ["name"]) {
            Member::Is(_) if tool.is_none() && reader.peek() == Some(b'"') => tool = Some(reader.string()?),
            Member::Is(_) | Member::Like => {
                is_clear = false;
                reader.skip()?;
            }
            Member::Other => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(tool.filter(|_| is_clear).map_or(Params::Other, Params::Call))
}

/// How the name of a member relates to the names that a reader looks for.
enum Member {
    /// It is this name.
    Is(&'static str),
    /// A case-insensitive reader would take it for one of the names.
    Like,
    /// It is another name.
    Other,
}

/// Compares the name of a member with `known`.
fn which<const N: usize>(name: Text<'_>, known: [&'static str; N]) -> Member {
    let limit = known.iter().map(|known| longest(known)).max().unwrap_or_default();
    let Some(name) = name.decode(limit) else { return Member::Other };
    if let Some(known) = known.into_iter().find(|known| *known == name) {
        return Member::Is(known);
    }
    let capitals = || name.chars().flat_map(char::to_uppercase);
    if known.iter().any(|known| capitals().eq(known.chars().flat_map(char::to_uppercase))) {
        return Member::Like;
    }
    Member::Other
}

/// The largest number of bytes in which a word of ASCII letters can be spelled: `\u0041` for each letter.
const fn longest(word: &str) -> usize {
    word.len() * 6
}
