//! Faults as errors of the protocol.

use rmcp::model::ErrorData;
use serde_json::json;
use tablewright_core::{Code, Fault};
use tablewright_toolkit::text::shown;

use super::address::MAX_ADDRESS;

/// The error for a request about the resource at `uri`: what does not exist is "not found", with
/// the code of the client's era.
pub(super) fn of_resource(fault: &Fault, uri: &str) -> ErrorData {
    match fault.code {
        Code::UnknownBase | Code::UnknownTable | Code::UnknownRecord => {
            not_found(&fault.message, fault.code, uri)
        }
        _ => of_arguments(fault),
    }
}

/// The error for an address that names nothing.
pub(super) fn no_resource(uri: &str) -> ErrorData {
    let given: String = uri.chars().take(80).collect();
    let message = format!(
        "there is no resource {given:?}; resources/list and resources/templates/list say which there are"
    );
    not_found(&message, Code::InvalidArguments, uri)
}

fn not_found(message: &str, code: Code, uri: &str) -> ErrorData {
    let uri: String = uri.chars().take(MAX_ADDRESS).collect();
    ErrorData::resource_not_found(shown(message), Some(json!({"code": code.as_str(), "uri": uri})))
}

/// The error for a request whose arguments were wrong.
pub(super) fn of_arguments(fault: &Fault) -> ErrorData {
    let (message, data) = (shown(&fault.message), Some(json!({"code": fault.code.as_str()})));
    match fault.code {
        Code::Forbidden | Code::LimitExceeded => ErrorData::invalid_request(message, data),
        Code::Internal | Code::StoreUnavailable | Code::UpstreamUnavailable | Code::NotReady => {
            ErrorData::internal_error(message, data)
        }
        _ => ErrorData::invalid_params(message, data),
    }
}
