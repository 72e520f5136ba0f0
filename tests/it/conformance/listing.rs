//! What the fixture server lists.

use rmcp::model::{Prompt, PromptArgument, Resource, ResourceTemplate, Tool};
use serde_json::{Value, json};

/// Tools that take no arguments.
const PLAIN: [&str; 31] = [
    "test_simple_text",
    "test_image_content",
    "test_audio_content",
    "test_embedded_resource",
    "test_multiple_content_types",
    "test_error_handling",
    "test_tool_with_progress",
    "test_tool_with_logging",
    "test_logging_tool",
    "test_elicitation_sep1034_defaults",
    "test_elicitation_sep1330_enums",
    "test_missing_capability",
    "test_streaming_elicitation",
    "test_trigger_tool_change",
    "test_trigger_prompt_change",
    "test_input_required_result_elicitation",
    "test_input_required_result_sampling",
    "test_input_required_result_list_roots",
    "test_input_required_result_request_state",
    "test_input_required_result_multiple_inputs",
    "test_input_required_result_multi_round",
    "test_input_required_result_tampered_state",
    "test_input_required_result_capabilities",
    "failing_job",
    "protocol_error_job",
    "multi_input",
    "test_tool_with_task",
    "greet",
    "slow_compute",
    "confirm_delete",
    "json_schema_2020_12_tool",
];

/// Every tool, always in the same order.
pub fn tools() -> Vec<Tool> {
    let taking = [
        ("test_sampling", json!({"prompt": {"type": "string"}}), vec!["prompt"]),
        ("test_elicitation", json!({"message": {"type": "string"}}), vec!["message"]),
        (
            "test_header_parameter",
            json!({"region": {"type": "string", "x-mcp-header": "Region"}}),
            vec!["region"],
        ),
    ];
    let plain = PLAIN.iter().map(|&name| (name, schema_of(name)));
    let taking = taking.into_iter().map(|(name, properties, required)| {
        (name, json!({"type": "object", "properties": properties, "required": required}))
    });
    plain
        .chain(taking)
        .map(|(name, schema)| {
            let schema = schema.as_object().unwrap().clone();
            Tool::new(name, format!("For the scenarios that call {name}"), schema)
        })
        .collect()
}

fn schema_of(name: &str) -> Value {
    match name {
        "greet" => json!({"type": "object", "properties": {"name": {"type": "string"}}}),
        "slow_compute" => json!({
            "type": "object",
            "properties": {"seconds": {"type": "number"}, "label": {"type": "string"}},
        }),
        "confirm_delete" => json!({"type": "object", "properties": {"filename": {"type": "string"}}}),
        "json_schema_2020_12_tool" => json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {
                "address": {
                    "$anchor": "addressDef",
                    "type": "object",
                    "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
                },
            },
            "properties": {
                "name": {"type": "string"},
                "address": {"$ref": "#/$defs/address"},
                "contactMethod": {"type": "string", "enum": ["phone", "email"]},
                "phone": {"type": "string"},
                "email": {"type": "string"},
            },
            "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
            "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
            "then": {"required": ["phone"]},
            "else": {"required": ["email"]},
            "additionalProperties": false,
        }),
        _ => json!({"type": "object", "additionalProperties": false}),
    }
}

pub fn prompts() -> Vec<Prompt> {
    let arguments = |names: &[&str]| -> Option<Vec<PromptArgument>> {
        let arguments = names.iter().map(|&name| {
            PromptArgument::new(name).with_description("Goes into the text").with_required(true)
        });
        (!names.is_empty()).then(|| arguments.collect())
    };
    [
        ("test_simple_prompt", &[][..]),
        ("test_prompt_with_arguments", &["arg1", "arg2"]),
        ("test_prompt_with_embedded_resource", &["resourceUri"]),
        ("test_prompt_with_image", &[]),
        (super::rounds::PROMPT, &[]),
    ]
    .into_iter()
    .map(|(name, takes)| Prompt::new(name, Some("For the scenarios that get it"), arguments(takes)))
    .collect()
}

pub fn resources() -> Vec<Resource> {
    [
        ("test://static-text", "static-text", "text/plain"),
        ("test://static-binary", "static-binary", "image/png"),
        ("test://watched-resource", "watched-resource", "text/plain"),
    ]
    .into_iter()
    .map(|(uri, name, kind)| {
        Resource::new(uri, name).with_description("For the scenarios that read it").with_mime_type(kind)
    })
    .collect()
}

pub fn templates() -> Vec<ResourceTemplate> {
    let template = ResourceTemplate::new("test://template/{id}/data", "template")
        .with_description("For the scenarios that read it")
        .with_mime_type("application/json");
    vec![template]
}
