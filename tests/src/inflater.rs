//! An inflater for `permessage-deflate` (RFC 1951, RFC 7692) that shares no code with the services. It is strict: a reference
//! beyond what it has received, or beyond the window that was agreed on, is an error.

/// The lengths and distances of references: the smallest value of each symbol, and how many bits are added to it.
const LENGTHS: [(usize, u32); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];
const DISTANCES: [(usize, u32); 30] = [
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 1),
    (7, 1),
    (9, 2),
    (13, 2),
    (17, 3),
    (25, 3),
    (33, 4),
    (49, 4),
    (65, 5),
    (97, 5),
    (129, 6),
    (193, 6),
    (257, 7),
    (385, 7),
    (513, 8),
    (769, 8),
    (1025, 9),
    (1537, 9),
    (2049, 10),
    (3073, 10),
    (4097, 11),
    (6145, 11),
    (8193, 12),
    (12289, 12),
    (16385, 13),
    (24577, 13),
];
/// The order in which the lengths of the codes for code lengths are sent.
const ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];
/// What a sender removes from the end of each message.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// The inflater of one connection.
pub struct Inflater {
    window: Vec<u8>,
    reach: usize,
    takeover: bool,
}

impl Inflater {
    /// An inflater whose window has 2 to the power of `window_bits` bytes. Without `takeover` it is empty before each
    /// message.
    pub fn new(window_bits: u8, takeover: bool) -> Self {
        Self {
            window: Vec::new(),
            reach: 1 << window_bits,
            takeover,
        }
    }

    /// Inflates the payload of a message.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn message(&mut self, payload: &[u8]) -> Result<Vec<u8>, String> {
        if !self.takeover {
            self.window.clear();
        }
        self.window
            .drain(..self.window.len().saturating_sub(self.reach));
        let begin = self.window.len();
        let input = [payload, &TAIL].concat();
        let mut bits = Bits {
            bytes: &input,
            at: 0,
        };
        while bits.at < input.len() * 8 {
            self.block(&mut bits)?;
        }
        Ok(self.window[begin..].to_vec())
    }

    fn block(&mut self, bits: &mut Bits) -> Result<(), String> {
        if bits.take(1)? == 1 {
            return Err("a last block".into());
        }
        match bits.take(2)? {
            0 => self.stored(bits),
            1 => self.compressed(bits, &fixed_literals(), &Code::new(&[5; 30])),
            2 => {
                let (literals, distances) = codes(bits)?;
                self.compressed(bits, &literals, &distances)
            }
            _ => Err("a reserved kind of block".into()),
        }
    }

    fn stored(&mut self, bits: &mut Bits) -> Result<(), String> {
        bits.at = bits.at.next_multiple_of(8);
        let length = bits.take(16)?;
        if bits.take(16)? != length ^ 0xffff {
            return Err("a stored block with a wrong length".into());
        }
        for _ in 0..length {
            let byte = bits.take(8)?;
            self.window.push(byte as u8);
        }
        Ok(())
    }

    fn compressed(
        &mut self,
        bits: &mut Bits,
        literals: &Code,
        distances: &Code,
    ) -> Result<(), String> {
        loop {
            match literals.read(bits)? {
                literal @ 0..256 => self.window.push(literal as u8),
                256 => return Ok(()),
                symbol => {
                    let length = with_extra(&LENGTHS, symbol - 257, bits)?;
                    let symbol = distances.read(bits)?;
                    let distance = with_extra(&DISTANCES, symbol, bits)?;
                    if distance > self.window.len() || distance > self.reach {
                        let known = self.window.len();
                        return Err(format!("a reference {distance} back, after {known} bytes"));
                    }
                    for _ in 0..length {
                        self.window.push(self.window[self.window.len() - distance]);
                    }
                }
            }
        }
    }
}

fn with_extra(table: &[(usize, u32)], symbol: usize, bits: &mut Bits) -> Result<usize, String> {
    let (base, extra) = table.get(symbol).ok_or("an unknown symbol")?;
    Ok(base + bits.take(*extra)?)
}

fn fixed_literals() -> Code {
    let mut lengths = [8; 288];
    lengths[144..256].fill(9);
    lengths[256..280].fill(7);
    Code::new(&lengths)
}

/// Reads the two codes of a block that has its own.
fn codes(bits: &mut Bits) -> Result<(Code, Code), String> {
    let (literals, distances) = (bits.take(5)? + 257, bits.take(5)? + 1);
    let mut lengths = [0; 19];
    for place in &ORDER[..bits.take(4)? + 4] {
        lengths[*place] = bits.take(3)? as u8;
    }
    let code = Code::new(&lengths);
    let mut lengths: Vec<u8> = Vec::new();
    while lengths.len() < literals + distances {
        let (length, times) = match code.read(bits)? {
            length @ 0..16 => (length as u8, 1),
            16 => {
                let last = *lengths.last().ok_or("a repetition of nothing")?;
                (last, bits.take(2)? + 3)
            }
            17 => (0, bits.take(3)? + 3),
            _ => (0, bits.take(7)? + 11),
        };
        lengths.extend(std::iter::repeat_n(length, times));
    }
    if lengths.len() != literals + distances {
        return Err("too many code lengths".into());
    }
    let (literals, distances) = lengths.split_at(literals);
    Ok((Code::new(literals), Code::new(distances)))
}

/// Bits, the lowest of each byte first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Result<usize, String> {
        let mut taken = 0;
        for place in 0..count {
            let byte = self
                .bytes
                .get(self.at / 8)
                .ok_or("the message ends within a block")?;
            taken |= usize::from(byte >> (self.at % 8) & 1) << place;
            self.at += 1;
        }
        Ok(taken)
    }
}

/// A Huffman code: how many symbols have a code of each length, and the symbols in the order of their codes.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[u8]) -> Self {
        let mut counts = [0; 16];
        let mut symbols: Vec<usize> = (0..lengths.len()).filter(|&it| lengths[it] > 0).collect();
        symbols.sort_by_key(|&symbol| lengths[symbol]);
        for &symbol in &symbols {
            counts[usize::from(lengths[symbol])] += 1;
        }
        Self { counts, symbols }
    }

    fn read(&self, bits: &mut Bits) -> Result<usize, String> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.take(1)?;
            if code < first + count {
                return Ok(self.symbols[index + code - first]);
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err("a code that means nothing".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let mut inflater = Inflater::new(15, true);
        // RFC 7692 section 7.2.3: the second message refers to the first.
        for payload in [
            &b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..],
            b"\xf2\x00\x11\x00\x00",
            b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
        ] {
            assert_eq!(inflater.message(payload).as_deref(), Ok(&b"Hello"[..]));
        }
        let mut inflater = Inflater::new(15, false);
        assert!(inflater.message(b"\xf2\x48\xcd\xc9\xc9\x07\x00").is_ok());
        assert!(inflater.message(b"\xf2\x00\x11\x00\x00").is_err());
    }
}
