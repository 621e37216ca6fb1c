use super::*;
use std::collections::BTreeSet;

#[test]
fn slugs_are_unique_and_carry_the_prefix_of_their_step() {
    let slugs: BTreeSet<_> = Denial::ALL.iter().map(|denial| denial.slug()).collect();
    assert_eq!(slugs.len(), Denial::ALL.len());
    for denial in Denial::ALL {
        let row = denial.row();
        let prefixes: &[&str] = match row.class {
            Class::Request => &["request_"],
            Class::Route => &["api_", "operation_"],
            Class::Credential => &["credential_"],
            Class::Token => &["token_"],
            Class::Client => &["client_"],
            Class::Binding => &["binding_", "certificate_", "proof_"],
            Class::Policy => &["scope_", "policy_"],
            Class::Fault => &["fault_"],
        };
        assert!(prefixes.iter().any(|prefix| row.slug.starts_with(prefix)), "{}", row.slug);
    }
}

#[test]
fn no_denial_can_be_read_as_an_allow() {
    for denial in Denial::ALL {
        assert_ne!(denial.grpc_code().get(), 0);
        assert!((400..=599).contains(&denial.row().status), "{}", denial.slug());
    }
}

#[test]
fn requests_routes_faults_and_signatures_never_soften() {
    for denial in Denial::ALL {
        let row = denial.row();
        let hard = matches!(row.class, Class::Request | Class::Route | Class::Fault)
            || row.slug.ends_with("_signature_invalid")
            || row.slug.ends_with("_guardrail");
        assert!(!hard || row.softens == Softens::Never, "{}", row.slug);
    }
}

#[test]
fn every_401_has_an_error_unless_no_credential_was_read() {
    for denial in Denial::ALL {
        let row = denial.row();
        if row.status == 401 && row.class != Class::Credential {
            assert!(row.oauth.is_some(), "{}", row.slug);
        }
    }
}

#[test]
fn client_texts_fit_an_error_description() {
    for class in Class::ALL {
        assert!(class.text().bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E)));
    }
}
