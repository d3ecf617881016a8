//! Records out of documents.

use serde_json::json;

use super::*;
use crate::engine::AnswerEngine;
use crate::extractive::Extractive;
use crate::passage::{Locator, passages_from_page};

struct Silent;

impl AnswerSink for Silent {
    fn progress(&mut self, _: u32, _: u32) {}
    fn chunk(&mut self, _: &str) {}
}

fn fill_from(pages: &[&str], schema: &Value) -> Result<Answer, ModelError> {
    let passages: Vec<_> = (1..)
        .zip(pages)
        .flat_map(|(number, text)| passages_from_page(number, text))
        .collect();
    let request = AnswerRequest {
        prompt: "Read the invoice",
        passages: &passages,
        table: None,
        image: None,
        left_out: None,
        query: None,
        vectors: None,
    };
    let schema = Schema::from_value(schema.clone()).unwrap();
    Extractive::new(None).record(&request, &schema, &CancelFlag::default(), &mut Silent)
}

const INVOICE: [&str; 2] = [
    "Invoice\n\nInvoice number: RE-2024-17\n\nThe goods were delivered on 3 May 2024.\n\nThank you for your order.",
    "Amount due\n\nThe total amount is 1,190.00 EUR including 190.00 EUR of tax.\n\nPayment is due on 31 May 2024.\n\nPaid: no",
];

#[test]
fn each_field_has_its_value_and_page() {
    let answer = fill_from(
        &INVOICE,
        &json!({"type": "object", "additionalProperties": false, "properties": {
            "invoice_number": {"type": "string"},
            "total": {"type": "number", "description": "total amount"},
            "due": {"type": "string", "format": "date", "description": "day on which the payment is due"},
            "paid": {"type": "boolean"},
            "currency": {"enum": ["EUR", "USD"], "description": "currency of the total amount"},
            "discount": {"type": ["number", "null"]},
            "captain": {"type": "string"},
        }, "required": ["invoice_number", "total", "due", "discount"]}),
    )
    .unwrap();
    let record = answer.record.unwrap();
    assert_eq!(
        record.value,
        json!({"invoice_number": "RE-2024-17", "total": 1190, "due": "2024-05-31", "paid": false, "currency": "EUR", "discount": null})
    );
    let page = |pointer: &str| match record.sources[pointer].locator {
        Locator::Page { page, .. } => page,
        _ => 0,
    };
    assert_eq!(
        (page("/invoice_number"), page("/total"), page("/due")),
        (1, 2, 2)
    );
    assert!(record.sources["/total"].quote.contains("1,190.00"));
    assert!(!record.sources.contains_key("/discount"));
    assert_eq!(answer.text, record.text());
}

#[test]
fn what_is_missing_and_required_refuses_the_record() {
    let schema = json!({"type": "object", "properties": {"captain": {"type": "integer"}}, "required": ["captain"]});
    let refused = fill_from(&INVOICE, &schema).unwrap_err();
    assert!(refused.to_string().contains("/captain"), "{refused}");
}

#[test]
fn a_schema_with_lists_needs_another_engine() {
    let schema = json!({"type": "object", "properties": {"items": {"type": "array", "items": {"type": "string"}}}});
    let refused = fill_from(&INVOICE, &schema).unwrap_err();
    assert_eq!(refused.code(), "schema_unsupported");
    assert!(
        refused.to_string().contains("generate or remote"),
        "{refused}"
    );
}
