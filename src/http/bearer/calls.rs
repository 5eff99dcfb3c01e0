//! Which tools the body of a request to an MCP server calls.

use std::borrow::Cow;

use super::json::{Malformed, Reader, Text};

/// The most messages that one body may hold (JSON-RPC 2.0 §6).
pub(super) const MAX_BATCH: usize = 128;

/// The longest name of a tool, in bytes as it is spelled. The MCP specification recommends 128 characters at most.
const MAX_TOOL_NAME: usize = 1024;

/// Why it cannot be known what a body calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unclear {
    /// The service behind may read the message in another way.
    Message,
    /// More than [`MAX_BATCH`] messages.
    Batch,
}

impl From<Malformed> for Unclear {
    fn from(_: Malformed) -> Self {
        Self::Message
    }
}

/// Give `call` the name of each tool that `body`, a JSON-RPC message or a batch of them, calls.
///
/// # Errors
///
/// [`Unclear`]. What came before in a batch has been given to `call` by then.
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

/// The tool that the message calls, if it calls one.
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
    /// They name one tool, if the message calls one.
    Call(Text<'a>),
    /// They name none, or not clearly.
    Other,
}

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

/// What the name of a member is to a reader who looks for certain ones.
enum Member {
    Is(&'static str),
    /// A reader that does not tell capitals from small letters would take it for one of them.
    Like,
    Other,
}

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

/// With how many bytes a word of ASCII letters can be spelled at most: `\u0041` for each.
const fn longest(word: &str) -> usize {
    word.len() * 6
}
