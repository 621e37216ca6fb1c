//! Two Envoys in a row: the front ends the client's TLS connection and tells the other, which asks keybound, of the certificate
//! in a header. What a client writes under that header's name counts nowhere.

use crate::lab::files::keep_leaf;
use crate::lab::{Edge, Lab, Plan, Road, Says, Variant};
use crate::requests::{dpop, mtls};
use crate::support::pki::GATEWAY;
use crate::support::{Good, Leaf, pki};

/// One way to tell.
struct Way {
    name: &'static str,
    says: Says,
    /// `forward_client_cert_details` of the Envoy behind.
    forwards: &'static str,
    /// The section `certificate` of keybound.
    certificate: String,
    header: &'static str,
    /// What the front would write of a certificate.
    value: fn(&Leaf) -> String,
    /// What keybound says to a client without a certificate.
    absent: &'static str,
    /// What keybound says to somebody without a certificate who reaches the Envoy behind.
    stranger: &'static str,
}

struct Hops {
    lab: Lab,
    /// It asks keybound; only the front should reach it.
    behind: Edge,
    front: Edge,
    way: Way,
}

impl Hops {
    fn raise(way: Way) -> Self {
        for leaf in [&pki().client, &pki().other, &pki().gateway] {
            keep_leaf(leaf);
        }
        let lab = Lab::ready(way.name, &Plan { certificate: way.certificate.clone(), ..Plan::default() });
        let behind = Variant { behind: Some(way.forwards), ..Variant::new("behind", Road::Tcp(lab.ports.check)) };
        let behind = lab.edge_as(&behind);
        let front = lab.front_of(&behind, way.says);
        Self { lab, behind, front, way }
    }

    /// The owner's token with a header that names the owner's certificate.
    fn forged(&self) -> Good {
        mtls().without_certificate().header(self.way.header, (self.way.value)(&pki().client))
    }

    async fn through_the_front(&self) {
        let owner = self.front.send(&mtls().build()).await;
        let told = owner.allowed();
        assert_eq!(told.header("x-keybound-proof"), Some("mtls"));
        assert!(told.header(self.way.header).is_some(), "keybound had it from elsewhere: {told:?}");
        self.front.send(&mtls().without_certificate().build()).await.denied(self.way.absent, 401);
        for wrong in [&pki().other, &pki().renewed] {
            self.front.send(&mtls().certificate(wrong).build()).await.denied("certificate_mismatch", 401);
        }
        // The front takes what a client writes away, and puts there what it saw.
        self.front.send(&self.forged().build()).await.denied(self.way.absent, 401);
        let twice =
            self.forged().and_header(self.way.header, (self.way.value)(&pki().client)).certificate(&pki().other);
        self.front.send(&twice.build()).await.denied("certificate_mismatch", 401);
    }

    /// Whoever reaches the Envoy behind, past the front, has no say either.
    async fn past_the_front(&self) {
        self.behind.send(&self.forged().build()).await.denied(self.way.stranger, 401);
        let listed_nowhere = self.forged().certificate(&pki().other);
        self.behind.send(&listed_nowhere.build()).await.denied("certificate_untrusted", 401);
        // Not even with the very certificate that the token names: it comes from the wrong place.
        let own = self.forged().certificate(&pki().client);
        self.behind.send(&own.build()).await.denied("certificate_untrusted", 401);
        // With the gateway's key one is the gateway.
        self.behind.send(&self.forged().certificate(&pki().gateway).build()).await.allowed();
    }

    async fn hold(&self) {
        self.through_the_front().await;
        self.past_the_front().await;
        self.lab.must_have_told_no_secret();
    }
}

fn hash(leaf: &Leaf) -> String {
    format!("Hash={}", leaf.hash())
}

fn whole(leaf: &Leaf) -> String {
    format!("Hash={};Cert=\"{}\";Chain=\"{}\"", leaf.hash(), leaf.encoded(), leaf.encoded_chain())
}

/// The header that Envoys write.
const XFCC: &str = "x-forwarded-client-cert";

#[tokio::test]
async fn the_hash_that_a_front_envoy_forwards_is_believed_and_a_clients_is_not() {
    let hops = Hops::raise(Way {
        name: "xfcc-hash",
        says: Says::Hash,
        forwards: "ALWAYS_FORWARD_ONLY",
        certificate: format!(
            "{{ source: xfcc, chain_verified_by: envoy, xfcc: {{ hop: 1, trusted_hops: [\"{GATEWAY}\"] }} }}"
        ),
        header: XFCC,
        value: hash,
        absent: "certificate_missing",
        stranger: "certificate_untrusted",
    });
    hops.hold().await;
    hops.front.send(&dpop().build()).await.allowed();
}

#[tokio::test]
async fn the_certificate_that_a_front_envoy_forwards_is_believed_and_a_clients_is_not() {
    // keybound verifies the chain that is forwarded with it.
    let verified = "chain_verified_by: keybound, trust_bundle: clients-ca.crt";
    let hops = Hops::raise(Way {
        name: "xfcc-cert",
        says: Says::Certificate,
        forwards: "ALWAYS_FORWARD_ONLY",
        certificate: format!("{{ source: xfcc, {verified}, xfcc: {{ hop: 1, trusted_hops: [\"{GATEWAY}\"] }} }}"),
        header: XFCC,
        value: whole,
        absent: "certificate_missing",
        stranger: "certificate_untrusted",
    });
    hops.hold().await;
    hops.front.send(&dpop().build()).await.allowed();
}

#[tokio::test]
async fn the_element_before_the_gateways_own_is_believed_and_a_clients_is_not() {
    // The Envoy behind appends what it saw itself, the gateway; of a connection without a certificate it forwards nothing.
    let hops = Hops::raise(Way {
        name: "xfcc-hops",
        says: Says::Hash,
        forwards: "APPEND_FORWARD",
        certificate: format!(
            "{{ source: xfcc, chain_verified_by: envoy, xfcc: {{ hop: 2, trusted_hops: [\"{GATEWAY}\"] }} }}"
        ),
        header: XFCC,
        value: hash,
        // XF-06: the gateway's own element is alone where two are wanted. That holds for DPoP clients too.
        absent: "certificate_malformed",
        stranger: "certificate_missing",
    });
    hops.hold().await;
}

#[tokio::test]
async fn the_client_cert_that_a_front_envoy_writes_is_believed_and_a_clients_is_not() {
    let hops = Hops::raise(Way {
        name: "client-cert",
        says: Says::ByteSequence,
        forwards: "SANITIZE_SET",
        certificate: format!("{{ source: client_cert, client_cert: {{ trusted_hops: [\"{GATEWAY}\"] }} }}"),
        header: "client-cert",
        value: Leaf::byte_sequence,
        absent: "certificate_missing",
        stranger: "certificate_untrusted",
    });
    hops.hold().await;
    hops.front.send(&dpop().build()).await.allowed();
}
