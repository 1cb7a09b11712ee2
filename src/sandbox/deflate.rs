//! Just enough of DEFLATE (RFC 1951) to write a gzip bomb.

/// A gzip stream (RFC 1952) that unpacks to at least that many spaces. Its checksum is left wrong: whoever has
/// read that far has already lost.
pub(super) fn gzip_of_spaces(bytes: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.push(0b011, 3); // the last block, with the fixed codes
    bits.push_code(0x30 + u32::from(b' '), 8);
    for _ in 0..bytes.div_ceil(258) {
        bits.push_code(0b1100_0101, 8); // length 258 ...
        bits.push_code(0, 5); // ... from one byte back
    }
    bits.push_code(0, 7); // the end of the block
    let mut stream = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255];
    stream.extend(bits.finish());
    stream.extend([0; 8]);
    stream
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    pending: u32,
    count: u32,
}

impl Bits {
    /// Numbers go lowest bit first (section 3.1.1) ...
    fn push(&mut self, value: u32, width: u32) {
        self.pending |= value << self.count;
        self.count += width;
        while self.count >= 8 {
            self.bytes.push(self.pending.to_le_bytes()[0]);
            self.pending >>= 8;
            self.count -= 8;
        }
    }

    /// ... and codes highest bit first.
    fn push_code(&mut self, code: u32, width: u32) {
        self.push(code.reverse_bits() >> (32 - width), width);
    }

    fn finish(mut self) -> Vec<u8> {
        self.push(0, 7);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bomb_is_small_and_well_formed() {
        let bomb = gzip_of_spaces(1 << 20);
        assert_eq!(&bomb[..3], [0x1F, 0x8B, 8]);
        assert!(bomb.len() < (1 << 20) / 150);
        // From the lowest bit: last block, fixed codes, then 01010 of the code 01010000 for a space.
        assert_eq!(bomb[10], 0b0101_0011);
    }
}
