//! Keys that sign JWTs, new for each test. The services verify them with another library.

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RsaKeyPair,
    },
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

/// The beginning of a P-256 public key in DER (RFC 5480). The point follows.
const P256_BEGIN: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A key for one algorithm.
pub enum SigningKey {
    /// A secret.
    HS256(Vec<u8>),
    /// RSA with 2048 bits.
    RS256(Box<RsaKeyPair>),
    /// P-256.
    ES256(Box<EcdsaKeyPair>),
    /// Ed25519.
    EdDsa(Box<Ed25519KeyPair>),
}

impl SigningKey {
    /// A new key for the algorithm of this name.
    pub fn new(algorithm: &str) -> Self {
        match algorithm {
            "HS256" => Self::HS256(URL_SAFE_NO_PAD.encode(rand_bytes()).into_bytes()),
            "RS256" => Self::RS256(Box::new(
                RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"),
            )),
            "ES256" => {
                let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
                Self::ES256(Box::new(key.expect("a key")))
            }
            "EdDSA" => Self::EdDsa(Box::new(Ed25519KeyPair::generate().expect("a key"))),
            other => panic!("{other} is no algorithm"),
        }
    }

    /// The name of its algorithm.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::HS256(_) => "HS256",
            Self::RS256(_) => "RS256",
            Self::ES256(_) => "ES256",
            Self::EdDsa(_) => "EdDSA",
        }
    }

    /// The content of the services' key file: the public key as PEM, or the secret.
    pub fn public(&self) -> String {
        let der = |key: &dyn AsDer<PublicKeyX509Der<'static>>| {
            key.as_der()
                .expect("a key can be written")
                .as_ref()
                .to_vec()
        };
        let der = match self {
            Self::HS256(secret) => return String::from_utf8(secret.clone()).expect("text"),
            Self::RS256(key) => der(key.public_key()),
            Self::ES256(key) => [&P256_BEGIN, key.public_key().as_ref()].concat(),
            Self::EdDsa(key) => der(key.public_key()),
        };
        pem(&der)
    }

    /// The public key as a JSON Web Key (RFC 7517) with this id.
    pub fn jwk(&self, id: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::HS256(secret) => json!({"kty": "oct", "kid": id, "k": text(secret)}),
            Self::RS256(key) => {
                let (n, e) = (key.public_key().modulus(), key.public_key().exponent());
                let (n, e) = (
                    n.big_endian_without_leading_zero(),
                    e.big_endian_without_leading_zero(),
                );
                json!({"kty": "RSA", "kid": id, "use": "sig", "alg": "RS256", "n": text(n), "e": text(e)})
            }
            Self::ES256(key) => {
                let point = &key.public_key().as_ref()[1..];
                json!({"kty": "EC", "kid": id, "crv": "P-256", "x": text(&point[..32]), "y": text(&point[32..])})
            }
            Self::EdDsa(key) => {
                json!({"kty": "OKP", "kid": id, "crv": "Ed25519", "x": text(key.public_key().as_ref())})
            }
        }
    }

    /// A token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({"typ": "JWT", "alg": self.algorithm()}), claims)
    }

    /// A token with this header, which may be invalid.
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(self.sign(signed.as_bytes()))
        )
    }

    fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::HS256(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::sign(&key, bytes).as_ref().to_vec()
            }
            Self::RS256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, bytes, &mut signature)
                    .expect("it signs");
                signature
            }
            Self::ES256(key) => key
                .sign(&random, bytes)
                .expect("it signs")
                .as_ref()
                .to_vec(),
            Self::EdDsa(key) => key.sign(bytes).as_ref().to_vec(),
        }
    }
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len())
        .step_by(64)
        .map(|at| &text[at..text.len().min(at + 64)])
        .collect();
    format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        lines.join("\n")
    )
}

fn rand_bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).expect("random bytes");
    bytes
}
