//! The content codings of answers.

use std::io::{self, Write};

use actix_web::{
    http::header::{ContentEncoding, Encoding, Preference, Quality, QualityItem},
    web::Bytes,
};
use flate2::{Compression, write::GzEncoder};
use zstd::{stream::write::Encoder as ZstdEncoder, zstd_safe::CParameter};

/// The level of gzip. On documents, a higher one takes twice the time and saves nothing.
const GZIP_LEVEL: u32 = 5;
/// The level of zstd. On documents, a higher one takes more memory and saves little.
const ZSTD_LEVEL: i32 = 1;
/// The window of zstd, as a power of two: 128 KiB. An encoder takes about three times as much.
const ZSTD_WINDOW: u32 = 17;

/// A content coding that answers can have. Brotli is not among them: every client that reads it also reads gzip, which
/// makes documents smaller at less cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    /// Half the CPU time of gzip for the same size.
    Zstd,
    Gzip,
}

impl Codec {
    /// The coding that the header `Accept-Encoding` prefers: of several with the same weight, the cheapest. `None` if it
    /// prefers the plain answer, or names no coding that is known here. `*` names none: the client may not know it.
    pub(super) fn preferred(accepted: &[QualityItem<Preference<Encoding>>]) -> Option<Self> {
        let weight = |encoding| {
            let wanted = Preference::Specific(Encoding::Known(encoding));
            let item = accepted.iter().find(|item| item.item == wanted);
            item.map_or(Quality::ZERO, |item| item.quality)
        };
        // The last of several with the same weight is taken.
        let codecs = [Self::Gzip, Self::Zstd].into_iter();
        let best = codecs.max_by_key(|codec| weight(codec.encoding()))?;
        let (plain, weight) = (weight(ContentEncoding::Identity), weight(best.encoding()));
        (weight > Quality::ZERO && weight >= plain).then_some(best)
    }

    /// Its name in `Content-Encoding`.
    pub(super) fn name(self) -> &'static str {
        self.encoding().as_str()
    }

    fn encoding(self) -> ContentEncoding {
        match self {
            Self::Zstd => ContentEncoding::Zstd,
            Self::Gzip => ContentEncoding::Gzip,
        }
    }

    pub(super) fn encoder(self) -> io::Result<CodecEncoder> {
        Ok(match self {
            Self::Zstd => {
                let mut encoder = ZstdEncoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.set_parameter(CParameter::WindowLog(ZSTD_WINDOW))?;
                CodecEncoder::Zstd(Box::new(encoder))
            }
            Self::Gzip => {
                let encoder = GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL));
                CodecEncoder::Gzip(Box::new(encoder))
            }
        })
    }
}

/// The encoder of one answer.
pub(super) enum CodecEncoder {
    Zstd(Box<ZstdEncoder<'static, Vec<u8>>>),
    Gzip(Box<GzEncoder<Vec<u8>>>),
}

impl CodecEncoder {
    /// Adds a part of the plain answer.
    pub(super) fn write(&mut self, part: &[u8]) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.write_all(part),
            Self::Gzip(encoder) => encoder.write_all(part),
        }
    }

    /// Lets the client read everything that was added so far.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.flush(),
            Self::Gzip(encoder) => encoder.flush(),
        }
    }

    /// What is ready to be sent.
    pub(super) fn take(&mut self) -> Bytes {
        let ready = match self {
            Self::Zstd(encoder) => encoder.get_mut(),
            Self::Gzip(encoder) => encoder.get_mut(),
        };
        std::mem::take(ready).into()
    }

    /// The end of the compressed answer.
    pub(super) fn finish(self) -> io::Result<Bytes> {
        let rest = match self {
            Self::Zstd(encoder) => encoder.finish()?,
            Self::Gzip(encoder) => encoder.finish()?,
        };
        Ok(rest.into())
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{
        HttpMessage,
        http::header::{ACCEPT_ENCODING, AcceptEncoding},
        test::TestRequest,
    };

    use super::*;

    fn preferred(header: &str) -> Option<&'static str> {
        let request = TestRequest::default()
            .insert_header((ACCEPT_ENCODING, header))
            .to_http_request();
        let accepted = request.get_header::<AcceptEncoding>()?;
        Codec::preferred(&accepted).map(Codec::name)
    }

    #[test]
    fn the_client_chooses_the_coding_and_the_cheapest_of_those_that_it_likes_equally() {
        for (header, name) in [
            ("gzip, deflate, br, zstd", Some("zstd")),
            ("gzip", Some("gzip")),
            ("GZIP", Some("gzip")),
            ("gzip;q=1.0, zstd;q=0.5", Some("gzip")),
            ("zstd;q=0, gzip;q=0.1", Some("gzip")),
            ("gzip;q=0.5, *;q=0", Some("gzip")),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0.5, gzip;q=1.0", Some("gzip")),
            ("gzip;q=0", None),
            ("br, deflate", None),
            ("*", None),
            ("identity;q=0", None),
            ("", None),
            ("gzip;q=nonsense", None),
        ] {
            assert_eq!(preferred(header), name, "{header:?}");
        }
    }
}
