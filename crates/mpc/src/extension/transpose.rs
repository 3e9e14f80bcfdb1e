//! Bit matrices on their side: 128 columns become rows of 128 bits. Constant time: only shifts and masks.

/// Bit j of column i becomes bit i of row j, for the first `count` rows.
pub(super) fn transpose(columns: &[Vec<u128>], count: usize) -> Vec<u128> {
    let mut rows = Vec::with_capacity(count + 128);
    for block in 0..count.div_ceil(128) {
        let mut square = [0u128; 128];
        for (row, column) in square.iter_mut().zip(columns) {
            *row = column.get(block).copied().unwrap_or(0);
        }
        flip(&mut square);
        rows.extend_from_slice(&square);
    }
    rows.truncate(count);
    rows
}

/// Swaps the off-diagonal quarters of ever smaller squares.
pub(crate) fn flip(square: &mut [u128; 128]) {
    let mut width = 64;
    let mut mask = u128::from(u64::MAX);
    while width > 0 {
        for base in (0..128).step_by(2 * width) {
            for i in base..base + width {
                let swap = ((square[i] >> width) ^ square[i + width]) & mask;
                square[i] ^= swap << width;
                square[i + width] ^= swap;
            }
        }
        width /= 2;
        mask ^= mask << width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    #[test]
    fn every_bit_lands_where_it_belongs() {
        let mut stream = Stream::new(&[4; 32]);
        for count in [1, 127, 128, 129, 300] {
            let blocks = count / 128 + 1;
            let columns: Vec<Vec<u128>> = (0..128).map(|_| stream.blocks(blocks)).collect();
            let rows = transpose(&columns, count);
            assert_eq!(rows.len(), count);
            for (j, row) in rows.iter().enumerate() {
                for (i, column) in columns.iter().enumerate() {
                    assert_eq!(row >> i & 1, column[j / 128] >> (j % 128) & 1);
                }
            }
        }
    }
}
