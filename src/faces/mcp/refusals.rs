//! Faults as errors of the protocol.

use rmcp::model::ErrorData;
use serde_json::json;
use tablewright_core::{Code, Fault};
use tablewright_toolkit::text::shown;

/// The error for a request about a resource: what does not exist is "not found", with the code
/// of the client's era.
pub(super) fn of_resource(fault: &Fault) -> ErrorData {
    match fault.code {
        Code::UnknownBase | Code::UnknownTable | Code::UnknownRecord => {
            ErrorData::resource_not_found(shown(&fault.message), data(fault))
        }
        _ => of_arguments(fault),
    }
}

/// The error for a request whose arguments were wrong.
pub(super) fn of_arguments(fault: &Fault) -> ErrorData {
    let message = shown(&fault.message);
    match fault.code {
        Code::Forbidden | Code::LimitExceeded => ErrorData::invalid_request(message, data(fault)),
        Code::Internal | Code::StoreUnavailable => ErrorData::internal_error(message, data(fault)),
        _ => ErrorData::invalid_params(message, data(fault)),
    }
}

fn data(fault: &Fault) -> Option<serde_json::Value> {
    Some(json!({"code": fault.code.as_str()}))
}

/// The error for an address that names nothing.
pub(super) fn no_resource(uri: &str) -> ErrorData {
    let given: String = uri.chars().take(80).collect();
    let message = format!(
        "there is no resource {:?}; resources/list and resources/templates/list say which there are",
        given
    );
    ErrorData::resource_not_found(shown(&message), None)
}
