use p256::ecdsa::SigningKey;
use p256::pkcs8::EncodePublicKey as _;

use super::{
    ECC, ECDSA, NULL, P256, RSA, RSASSA, SHA256, TpmFault, again, all_values, length, pcr_read,
    pcr_values, public, quote, quoted, read_public,
};
use crate::limits::TPM_ANSWER;

const AK: u32 = 0x0005_0072;

fn answer(tag: u8, code: u32, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(10 + body.len()).unwrap();
    [&[0x80, tag][..], &size.to_be_bytes(), &code.to_be_bytes(), body].concat()
}

fn prefixed(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// `TPMT_PUBLIC` with its length, and names that nobody reads.
fn key(kind: [u8; 2], attributes: u32, parts: &[&[u8]]) -> Vec<u8> {
    let head = [&kind[..], &SHA256, &attributes.to_be_bytes(), &[0, 0]].concat();
    let body = prefixed(&[head, parts.concat()].concat());
    answer(1, 0, &[body, prefixed(b"name"), prefixed(b"name")].concat())
}

fn p256_key(attributes: u32) -> (Vec<u8>, Vec<u8>) {
    let key_ = *SigningKey::from_slice(&[7; 32]).unwrap().verifying_key();
    let point = key_.to_sec1_point(false);
    let point = point.as_bytes();
    let (x, y) = (prefixed(&point[1..33]), prefixed(&point[33..]));
    let read = key(ECC, attributes, &[&NULL, &ECDSA, &SHA256, &P256, &NULL, &x, &y]);
    (read, key_.to_public_key_der().unwrap().into_vec())
}

fn rsa_key(bits: u16, modulus: &[u8]) -> Vec<u8> {
    let bits = bits.to_be_bytes();
    key(RSA, AK, &[&NULL, &RSASSA, &SHA256, &bits, &[0; 4], &prefixed(modulus)])
}

#[test]
fn commands_are_as_the_specification_writes_them() {
    let hex = |bytes: &[u8]| bytes.iter().map(|it| format!("{it:02x}")).collect::<String>();
    assert_eq!(hex(&read_public(0x8101_0002)), "80010000000e0000017381010002");
    assert_eq!(hex(&pcr_read([0xFF, 0, 1])), "8001000000140000017e00000001000b03ff0001");
    let asked = format!(
        "8002{:08x}0000015881010002{}0020{}0010{}",
        10 + 4 + 13 + 34 + 2 + 10,
        "00000009400000090000000000",
        "07".repeat(32),
        "00000001000b03ff0001"
    );
    assert_eq!(hex(&quote(0x8101_0002, &[7; 32], [0xFF, 0, 1])), asked);
}

#[test]
fn public_keys_become_what_verifiers_read() {
    let (read, spki) = p256_key(AK);
    assert_eq!(public(&read), Ok(spki));
    let modulus = [0xC3; 256];
    let spki = public(&rsa_key(2048, &modulus)).unwrap();
    assert_eq!(spki.len(), 294);
    let info = crate::x509::PublicKey::parse(&spki).unwrap();
    assert_eq!(info.algorithm, crate::tpm::RSA_KEY);
    assert!(info.bits.windows(256).any(|it| it == modulus));
    for (bad, why) in [
        (p256_key(AK & !super::RESTRICTED).0, TpmFault::NotRestricted),
        (p256_key(AK & !super::FIXED_TPM).0, TpmFault::NotRestricted),
        (p256_key(AK | super::DECRYPT).0, TpmFault::NotRestricted),
        (rsa_key(1024, &[0xC3; 128]), TpmFault::Unsupported),
        (rsa_key(2048, &[0x43; 256]), TpmFault::Unsupported),
        (rsa_key(2048, &[0xC3; 255]), TpmFault::Unsupported),
        (key(ECC, AK, &[&NULL, &RSASSA, &SHA256]), TpmFault::Unsupported),
        (key(ECC, AK, &[&NULL, &NULL]), TpmFault::Malformed),
        (answer(1, 0x18B, &[]), TpmFault::Refused(0x18B)),
    ] {
        assert_eq!(public(&bad), Err(why));
    }
}

#[test]
fn pcrs_come_eight_at_a_time() {
    let asked = |command: &[u8]| {
        let want: [u8; 3] = command[command.len() - 3..].try_into().unwrap();
        let all = (0..24_u8).filter(|it| want[usize::from(it / 8)] >> (it % 8) & 1 == 1).take(8);
        let (mut told, mut values) = ([0; 3], Vec::new());
        for pcr in all {
            told[usize::from(pcr / 8)] |= 1 << (pcr % 8);
            values.extend(prefixed(&[pcr; 32]));
        }
        let count = u32::try_from(values.len() / 34).unwrap().to_be_bytes();
        let head = [&[0, 0, 0, 1][..], &SHA256, &[3], &told].concat();
        answer(1, 0, &[&[0, 0, 0, 9][..], &head, &count, &values].concat())
    };
    for pcrs in [[0xFF; 3], [1, 0, 0x80], [0; 3]] {
        let values = all_values::<TpmFault>(pcrs, |it| Ok(asked(&it))).unwrap();
        let expected = (0..24_u8).filter(|it| pcrs[usize::from(it / 8)] >> (it % 8) & 1 == 1);
        assert_eq!(values, expected.map(|it| [it; 32]).collect::<Vec<_>>());
    }
    let other = asked(&pcr_read([2, 0, 0]));
    let none =
        answer(1, 0, &[&[0, 0, 0, 9, 0, 0, 0, 1][..], &SHA256, &[3, 0, 0, 0], &[0; 4]].concat());
    for said in [other, none] {
        assert_eq!(all_values([1, 0, 0], |_| Ok(said.clone())), Err(TpmFault::Malformed));
    }
}

#[test]
fn answers_of_any_length_are_refused_or_read() {
    let signature = [&RSASSA[..], &SHA256, &prefixed(&[9; 256])].concat();
    let parameters = [prefixed(b"attested"), signature.clone()].concat();
    let size = u32::try_from(parameters.len()).unwrap().to_be_bytes();
    let good = answer(2, 0, &[&size[..], &parameters, &[0, 0, 0, 0, 0]].concat());
    let read = quoted(&good).unwrap();
    assert_eq!((read.attested, read.signature), (b"attested".to_vec(), signature));
    let (key, _) = p256_key(AK);
    for whole in [&good, &key, &rsa_key(2048, &[0xC3; 256])] {
        for cut in 0..whole.len() {
            // As it is cut, and with a length that fits.
            for fixed in [false, true] {
                let mut part = whole[..cut].to_vec();
                if fixed && cut >= 6 {
                    part[2..6].copy_from_slice(&u32::try_from(cut).unwrap().to_be_bytes());
                }
                drop((quoted(&part), pcr_values(&part)));
                assert!(cut < 6 || !fixed || length(&part).is_ok() || cut < 10);
                assert!(fixed || quoted(&part).is_err() && public(&part).is_err(), "{cut}");
            }
        }
    }
    let mut scheme = good.clone();
    scheme[24..26].copy_from_slice(&[0, 0x16]);
    assert_eq!(quoted(&scheme), Err(TpmFault::Unsupported));
    assert!(again(&answer(1, 0x922, &[])) && !again(&answer(1, 0x18B, &[])) && !again(&good));
    assert_eq!(length(&[0; 5]), Ok(None));
    assert_eq!(length(&[0x80, 1, 0, 0, 0, 9]), Err(TpmFault::Malformed));
    let long = u32::try_from(TPM_ANSWER + 1).unwrap().to_be_bytes();
    assert_eq!(length(&[&[0x80, 1][..], &long].concat()), Err(TpmFault::TooLong));
}
