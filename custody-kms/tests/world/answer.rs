//! Requests and answers of HTTP/1.1 as AWS and its clients write them: a head, and a body of a
//! known length.

use std::io::{self, BufRead, Read as _};

/// What an endpoint may say.
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    /// An error as AWS KMS tells it.
    pub(crate) fn error(status: u16, kind: &str) -> Self {
        let body = format!("{{\"__type\":\"{kind}\",\"message\":\"as a test says\"}}");
        Self::new(status, JSON, &body).with("x-amzn-errortype", kind)
    }

    /// Success, with this body.
    pub(crate) fn json(body: &str) -> Self {
        Self::new(200, JSON, body)
    }

    /// What something in between says, which is no AWS.
    pub(crate) fn html(status: u16) -> Self {
        Self::new(status, "text/html", "<html><body>no service</body></html>")
    }

    fn new(status: u16, kind: &str, body: &str) -> Self {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        Self { status, headers, body: body.to_owned() }
    }

    /// With one header more, such as `retry-after`.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn message(&self) -> Message {
        let first = format!("HTTP/1.1 {} ", self.status);
        let body = self.body.as_bytes().to_vec();
        Message { first, headers: self.headers.clone(), body }
    }
}

/// A request or an answer.
pub(super) struct Message {
    first: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// The next request of a connection, unless it ends.
    pub(super) fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        if reader.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut message = Self::read_head(reader)?;
        let length = message.length()?.unwrap_or(0);
        message.read_body(reader, length)?;
        Ok(Some(message))
    }

    /// An answer. One without a length lasts until the connection ends; however the endpoint holds
    /// it with its connection, ours to the client goes on.
    pub(super) fn read_answer(reader: &mut impl BufRead) -> io::Result<Self> {
        let mut message = Self::read_head(reader)?;
        match message.length()? {
            Some(length) => message.read_body(reader, length)?,
            None => {
                reader.take(BODY_MAX).read_to_end(&mut message.body)?;
            }
        }
        let (_, rest) = message.first.split_once(' ').ok_or(io::ErrorKind::InvalidData)?;
        message.first = format!("HTTP/1.1 {rest}");
        message.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("connection"));
        Ok(message)
    }

    fn read_head(reader: &mut impl BufRead) -> io::Result<Self> {
        let first = read_line(reader)?;
        let mut headers = Vec::new();
        loop {
            let line = read_line(reader)?;
            if line.is_empty() {
                return Ok(Self { first, headers, body: Vec::new() });
            }
            let (name, value) = line.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    fn read_body(&mut self, reader: &mut impl BufRead, length: u64) -> io::Result<()> {
        reader.take(length).read_to_end(&mut self.body)?;
        let is_whole = u64::try_from(self.body.len()) == Ok(length);
        if is_whole { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        Some(&found.1)
    }

    /// With which access key it was signed.
    pub(super) fn access_key(&self) -> String {
        let signed = self.header("authorization").unwrap_or_default();
        let (_, key) = signed.split_once("Credential=").unwrap_or_default();
        key.split('/').next().unwrap_or_default().to_owned()
    }

    /// Itself, with the length that the body has now.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{}\r\n", self.first);
        let others = |(name, _): &&(String, String)| !name.eq_ignore_ascii_case(LENGTH);
        for (name, value) in self.headers.iter().filter(others) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("{LENGTH}: {}\r\n\r\n", self.body.len()));
        [head.as_bytes(), &self.body].concat()
    }

    fn length(&self) -> io::Result<Option<u64>> {
        // Neither AWS nor what stands in for it sends bodies in pieces.
        if self.header("transfer-encoding").is_some() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let length = self.header(LENGTH).map(|value| value.parse().ok());
        match length {
            None => Ok(None),
            Some(Some(length)) if length <= BODY_MAX => Ok(Some(length)),
            Some(_) => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.take(LINE_MAX).read_line(&mut line)?;
    let line = line.strip_suffix("\r\n").ok_or(io::ErrorKind::InvalidData)?;
    Ok(line.to_owned())
}

const JSON: &str = "application/x-amz-json-1.1";
const LENGTH: &str = "content-length";
const LINE_MAX: u64 = 1 << 16;
const BODY_MAX: u64 = 1 << 24;
