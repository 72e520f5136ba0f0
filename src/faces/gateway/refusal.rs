//! Refusals as Airtable words them.
//!
//! Clients read status and `type`; some match on the text. Where Airtable's text is fixed it
//! stands here as it is; where it only says that something is wrong, what is wrong follows it.

use std::borrow::Cow;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use tablewright_core::{Code, Fault, Refused};

use super::reply;

/// The shape of a body. Clients have to read all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// `{"error":"TYPE"}`
    Bare,
    /// `{"error":{"type":"TYPE"}}`, with a message when there is one.
    Typed(Option<Cow<'static, str>>),
    /// `{"errors":[{"error":"TYPE","message":"…"}]}`
    Listed(&'static str),
}

/// An answer that says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    kind: Cow<'static, str>,
    shape: Shape,
    /// What the audit line says.
    pub(super) code: Code,
}

/// What was being done, where that decides the words for a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum While {
    /// Reading one record.
    Reading,
    /// Changing or deleting the one record the path names.
    ChangingOne,
    /// Writing records the body names.
    ChangingMany,
    /// Changing a table or base.
    ChangingTable,
    /// Changing a field.
    ChangingField,
}

impl Refusal {
    fn typed(
        status: StatusCode,
        kind: &'static str,
        code: Code,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, kind: kind.into(), shape: Shape::Typed(Some(message.into())), code }
    }

    fn unprocessable(kind: &'static str, code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self::typed(StatusCode::UNPROCESSABLE_ENTITY, kind, code, message)
    }

    fn silent(kind: &'static str, code: Code) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, kind: kind.into(), shape: Shape::Typed(None), code }
    }

    /// No such endpoint, or an id without the shape of one.
    pub(super) fn no_route() -> Self {
        let code = Code::InvalidArguments;
        Self { status: StatusCode::NOT_FOUND, kind: "NOT_FOUND".into(), shape: Shape::Bare, code }
    }

    /// No token in force.
    pub(super) fn no_token() -> Self {
        let message = "Authentication required";
        Self::typed(StatusCode::UNAUTHORIZED, "AUTHENTICATION_REQUIRED", Code::Forbidden, message)
    }

    /// What is not there and what is not allowed look the same.
    pub(super) fn not_permitted(code: Code) -> Self {
        Self::typed(
            StatusCode::FORBIDDEN,
            "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND",
            code,
            "Invalid permissions, or the requested model was not found. Check that both your user and your token have the required permissions, and that the model names and/or ids are correct.",
        )
    }

    /// Something of that kind is not there.
    fn no_model(message: &'static str, code: Code) -> Self {
        Self::typed(StatusCode::NOT_FOUND, "MODEL_ID_NOT_FOUND", code, message)
    }

    /// The record a path names.
    pub(super) fn no_record() -> Self {
        Self::no_model("Record not found", Code::UnknownRecord)
    }

    /// A parameter or a key of the body is unknown or has a wrong value.
    pub(super) fn parameter(why: impl std::fmt::Display) -> Self {
        Self::unprocessable(
            "INVALID_REQUEST_UNKNOWN",
            Code::InvalidArguments,
            format!("Invalid request: parameter validation failed. Check your request data. ({why})"),
        )
    }

    /// The body cannot be read as JSON.
    pub(super) fn body(why: impl std::fmt::Display) -> Self {
        let message = format!("Could not parse request body ({why})");
        Self::unprocessable("INVALID_REQUEST_BODY", Code::InvalidArguments, message)
    }

    /// The body did not come in within the time a body may take.
    pub(super) fn too_slow() -> Self {
        let message = "The request body took too long to come in.";
        Self::typed(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", Code::LimitExceeded, message)
    }

    /// A key that has to be in the body is not.
    pub(super) fn missing(key: &str) -> Self {
        let message = format!("Could not find field \"{key}\" in the request body");
        Self::unprocessable("INVALID_REQUEST_MISSING_FIELDS", Code::InvalidArguments, message)
    }

    /// The records of a body are not a list as it has to be. `with_ids`: of an update.
    pub(super) fn records(with_ids: bool) -> Self {
        let each = if with_ids { "an \"id\" ID field and a" } else { "a" };
        Self::unprocessable(
            "INVALID_RECORDS",
            Code::InvalidArguments,
            format!(
                "You must provide an array of up to 10 record objects, each with {each} \"fields\" object for cell values."
            ),
        )
    }

    /// The ids of records to delete are not as they have to be.
    pub(super) fn record_ids() -> Self {
        let message = "You must provide an array of up to 10 record IDs.";
        Self::unprocessable("INVALID_RECORDS", Code::InvalidArguments, message)
    }

    /// An offset that is none.
    pub(super) fn offset(value: &str) -> Self {
        let value: String = value.chars().take(100).collect();
        let message = format!("The value of offset {value} is invalid");
        Self::unprocessable("INVALID_OFFSET_VALUE", Code::InvalidCursor, message)
    }

    /// An offset that lapsed.
    pub(super) fn iterator() -> Self {
        Self::silent("LIST_RECORDS_ITERATOR_NOT_AVAILABLE", Code::InvalidCursor)
    }

    /// A view that is not there.
    pub(super) fn view(wanted: &str) -> Self {
        let kind = if tablewright_core::model::ViewId::is(wanted) {
            "VIEW_ID_NOT_FOUND"
        } else {
            "VIEW_NAME_NOT_FOUND"
        };
        Self::unprocessable(kind, Code::UnknownView, format!("View {wanted} not found"))
    }

    /// Ids that are there, but do not belong together.
    pub(super) fn mismatch() -> Self {
        Self::silent("FAILED_STATE_CHECK", Code::InvalidArguments)
    }

    /// A field that is not there.
    pub(super) fn field(wanted: &str) -> Self {
        let message = format!("Unknown field name: \"{wanted}\"");
        Self::unprocessable("UNKNOWN_FIELD_NAME", Code::UnknownField, message)
    }

    /// A name of a field that is empty or that another field of the table has.
    pub(super) fn unfit_name() -> Self {
        let message = "A field needs a name that no other field of the table has";
        Self::unprocessable("DUPLICATE_OR_EMPTY_FIELD_NAME", Code::InvalidArguments, message)
    }

    /// A value that does not fit its field.
    pub(super) fn value(field: &str) -> Self {
        let message = format!("Field \"{field}\" cannot accept the provided value");
        Self::unprocessable("INVALID_VALUE_FOR_COLUMN", Code::InvalidValue, message)
    }

    /// Something among files that is no file.
    pub(super) fn attachment() -> Self {
        Self::silent("INVALID_ATTACHMENT_OBJECT", Code::InvalidAttachment)
    }

    /// A formula that cannot be used as a filter.
    pub(super) fn formula(why: &str) -> Self {
        let message = format!("The formula for filtering records is invalid: {why}");
        Self::unprocessable("INVALID_FILTER_BY_FORMULA", Code::InvalidArguments, message)
    }

    /// A kind of field that the Web API does not create.
    pub(super) fn no_such_creation(place: &str, type_name: &str) -> Self {
        Self::unprocessable(
            "UNSUPPORTED_FIELD_TYPE_FOR_CREATE",
            Code::InvalidArguments,
            format!("Invalid options for {place}: Creating {type_name} fields is not supported at this time"),
        )
    }

    /// The copy of a base cannot say; whoever hears this asks Airtable.
    pub(super) fn not_in_copy() -> Self {
        let message = "The copy of this base cannot answer this; ask again in a moment";
        Self::typed(StatusCode::SERVICE_UNAVAILABLE, "RETRIABLE_ERROR", Code::NotReady, message)
    }

    /// A body beyond the bound.
    pub(super) fn too_large(most: usize) -> Self {
        let message = format!("A request body may have at most {most} bytes.");
        Self::typed(StatusCode::PAYLOAD_TOO_LARGE, "REQUEST_TOO_LARGE", Code::LimitExceeded, message)
    }

    /// A file beyond the bound.
    pub(super) fn too_large_file(message: String) -> Self {
        Self::typed(StatusCode::PAYLOAD_TOO_LARGE, "REQUEST_TOO_LARGE", Code::LimitExceeded, message)
    }

    /// An address beyond the bound.
    pub(super) fn too_long(most: usize) -> Self {
        let message = format!(
            "A URL may have at most {most} characters; list records with POST …/listRecords instead."
        );
        Self::typed(StatusCode::URI_TOO_LONG, "REQUEST_URI_TOO_LONG", Code::LimitExceeded, message)
    }

    /// More requests than the limit lets through.
    pub(super) fn rate() -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            kind: "RATE_LIMIT_REACHED".into(),
            shape: Shape::Listed("Rate limit exceeded. Please try again later"),
            code: Code::LimitExceeded,
        }
    }

    /// What Airtable itself answered.
    fn answered(origin: &Refused, code: Code) -> Self {
        let status = StatusCode::from_u16(origin.status).unwrap_or(StatusCode::BAD_GATEWAY);
        let message = (!origin.message.is_empty()).then(|| Cow::Owned(origin.message.clone()));
        Self { status, kind: origin.kind.clone().into(), shape: Shape::Typed(message), code }
    }

    /// A fault, in Airtable's words for it.
    pub(super) fn of(fault: &Fault, doing: While) -> Self {
        let code = fault.code;
        // A record that is not there is called so by what was asked, however it was asked of Airtable.
        let is_missing = code == Code::UnknownRecord && doing == While::ChangingOne;
        if let Some(origin) = fault.origin.as_ref().filter(|_| !is_missing) {
            return Self::answered(origin, code);
        }
        let about = fault.subject.as_deref().unwrap_or_default();
        let unprocessable = |kind: &'static str, message: String| Self::unprocessable(kind, code, message);
        match code {
            Code::UnknownBase | Code::UnknownTable | Code::Forbidden => Self::not_permitted(code),
            Code::UnknownField => Self::field(about),
            Code::MaskedField => Self { code, ..Self::parameter(&fault.message) },
            Code::UnknownView => Self::view(about),
            Code::UnknownRecord => match doing {
                While::Reading => Self::not_permitted(code),
                While::ChangingOne => Self::no_record(),
                _ => unprocessable(
                    "ROW_DOES_NOT_EXIST",
                    format!("Record ID {about} does not exist in this table"),
                ),
            },
            Code::UnknownComment => Self::no_model("Comment not found", code),
            Code::UnknownWebhook => Self::not_permitted(code),
            Code::WrongTable => {
                // The message is Airtable's already; a place may stand before it.
                let message = &fault.message;
                let message = message.find("Record ID").map_or(message.as_str(), |at| &message[at..]);
                unprocessable("ROW_TABLE_DOES_NOT_MATCH_LINKED_TABLE", message.to_owned())
            }
            Code::InvalidValue => Self::value(about),
            Code::ComputedField => unprocessable(
                "INVALID_VALUE_FOR_COLUMN",
                format!("Field \"{about}\" cannot accept a value because the field is computed"),
            ),
            Code::UnknownChoice => unprocessable(
                "INVALID_MULTIPLE_CHOICE_OPTIONS",
                format!("Insufficient permissions to create new select option \"\"{about}\"\""),
            ),
            Code::InvalidAttachment => Self::attachment(),
            Code::Conflict if doing == While::ChangingField => {
                unprocessable("DUPLICATE_OR_EMPTY_FIELD_NAME", fault.message.clone())
            }
            Code::Conflict if doing == While::ChangingTable => {
                unprocessable("DUPLICATE_TABLE_NAME", fault.message.clone())
            }
            Code::InvalidFile | Code::InvalidSchema
                if matches!(doing, While::ChangingField | While::ChangingTable) =>
            {
                unprocessable("INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE", fault.message.clone())
            }
            Code::UpstreamForbidden => Self::not_permitted(code),
            Code::UpstreamRefused => Self { code, ..Self::parameter(&fault.message) },
            // Nothing was done, and it may be asked again.
            Code::UpstreamUnavailable | Code::NotReady => {
                Self::typed(StatusCode::SERVICE_UNAVAILABLE, "RETRIABLE_ERROR", code, fault.message.clone())
            }
            // Asking again might do it twice.
            Code::OutcomeUnknown => {
                Self::typed(StatusCode::BAD_GATEWAY, "OUTCOME_UNKNOWN", code, fault.message.clone())
            }
            Code::StoreUnavailable | Code::Cancelled => Self::typed(
                StatusCode::SERVICE_UNAVAILABLE,
                "RETRIABLE_ERROR",
                code,
                "Server encountered an error while processing your request, and it is safe to retry the request",
            ),
            Code::Internal => Self::typed(
                StatusCode::INTERNAL_SERVER_ERROR,
                "SERVER_ERROR",
                code,
                "Internal server error. If you retry your request, it may succeed",
            ),
            // Clients that try again by themselves are not to: only a person changes it.
            Code::ApprovalNeeded | Code::Declined => {
                Self::typed(StatusCode::FORBIDDEN, "APPROVAL_NEEDED", code, fault.message.clone())
            }
            Code::BudgetExceeded | Code::CircuitOpen => {
                Self::typed(StatusCode::FORBIDDEN, "BUDGET_EXCEEDED", code, fault.message.clone())
            }
            Code::UnknownPlan | Code::PlanStale => {
                Self::typed(StatusCode::CONFLICT, "CONFLICT", code, fault.message.clone())
            }
            Code::InvalidCursor => Self::iterator(),
            Code::InvalidArguments
            | Code::Ambiguous
            | Code::LimitExceeded
            | Code::Conflict
            | Code::InvalidFile
            | Code::InvalidSchema
            | Code::UnknownTool => Self { code, ..Self::parameter(&fault.message) },
        }
    }

    /// The answer.
    pub(super) fn response(&self) -> Response {
        let body = match &self.shape {
            Shape::Bare => json!({ "error": self.kind }),
            Shape::Typed(None) => json!({ "error": { "type": self.kind } }),
            Shape::Typed(Some(message)) => json!({ "error": { "type": self.kind, "message": message } }),
            Shape::Listed(message) => json!({ "errors": [{ "error": self.kind, "message": message }] }),
        };
        reply::own(self.status, body.to_string())
    }
}
