//! The policy itself, as one reviewed matrix: actor × action × subject. No server.

use std::fmt::Write;

use freehunt_domain::{ids::UserId, policy::*, users::Role};
use uuid::Uuid;

const ACTORS: [&str; 7] =
    ["anonymous", "stranger freelance", "stranger company", "applicant", "project freelance", "partner", "owner"];

fn id(name: &str) -> UserId {
    let number = ACTORS.iter().position(|actor| *actor == name).expect("an actor") + 1;
    UserId(Uuid::from_u128(number as u128))
}

fn actor(name: &str) -> Option<Actor> {
    let role = if matches!(name, "owner" | "stranger company") { Role::Company } else { Role::Freelance };
    (name != "anonymous").then(|| Actor { user_id: id(name), role })
}

fn posting(name: &str, is_published: bool) -> JobPostingFacts {
    JobPostingFacts {
        owner: id("owner"),
        is_published,
        is_applicant: name == "applicant",
        is_project_freelance: name == "project freelance",
    }
}

/// One line a question, one word an actor; questions that need a session are not asked for nobody.
struct Matrix(String);

impl Matrix {
    fn ask(&mut self, question: &str, decide: impl Fn(&str, Option<Actor>) -> Decision) {
        let words: Vec<String> = ACTORS.iter().map(|name| format!("{:?}", decide(name, actor(name)))).collect();
        writeln!(
            self.0,
            "{question:<42} {}",
            words.iter().map(|word| format!("{word:<16}")).collect::<String>().trim_end()
        )
        .unwrap();
    }

    fn ask_session(&mut self, question: &str, decide: impl Fn(&str, Actor) -> Decision) {
        self.ask(question, |name, actor| actor.map_or(Decision::Unauthenticated, |actor| decide(name, actor)));
    }
}

#[test]
fn the_matrix_is_as_reviewed() {
    let mut matrix = Matrix(format!(
        "{:<42} {}\n",
        "",
        ACTORS.iter().map(|name| format!("{:<16}", name.replace("stranger", "str."))).collect::<String>().trim_end()
    ));
    matrix.ask("endpoint: closed", |_, actor| closed(actor));
    matrix.ask("endpoint: any session", |_, actor| any_session(actor));
    matrix.ask("endpoint: companies only", |_, actor| with_role(actor, Role::Company));
    matrix.ask("endpoint: freelances only", |_, actor| with_role(actor, Role::Freelance));
    matrix.ask_session("body or path: names the owner as oneself", |_, actor| is_self(actor, id("owner")));
    matrix.ask_session("user: view the owner's", |_, actor| view_user(actor, id("owner")));
    matrix.ask_session("profile: manage the owner's", |_, actor| manage_profile(actor, id("owner")));
    for (what, has_published_posting) in [("with a published posting", true), ("without one", false)] {
        matrix.ask(&format!("company {what}: view"), |name, actor| {
            let is_counterpart = matches!(name, "applicant" | "project freelance");
            view_company(actor, &CompanyFacts { owner: id("owner"), has_published_posting, is_counterpart })
        });
    }
    for (what, published) in [("published", true), ("unpublished", false)] {
        for action in [
            JobPostingAction::View,
            JobPostingAction::Manage,
            JobPostingAction::ViewCandidates,
            JobPostingAction::ViewProject,
        ] {
            matrix.ask(&format!("job posting, {what}: {action:?}"), |name, actor| {
                job_posting(actor, action, &posting(name, published))
            });
        }
        for action in [CheckpointAction::View, CheckpointAction::Advance, CheckpointAction::Delete] {
            matrix.ask(&format!("checkpoint, {what}: {action:?}"), |name, actor| {
                checkpoint(actor, action, &posting(name, published))
            });
        }
    }
    let application = CandidateFacts { applicant: id("applicant"), posting_owner: id("owner") };
    for action in [CandidateAction::View, CandidateAction::Decide, CandidateAction::Withdraw] {
        matrix.ask_session(&format!("candidate: {action:?}"), |_, actor| candidate(actor, action, &application));
    }
    let project = ProjectFacts { company_user: Some(id("owner")), freelance_user: Some(id("project freelance")) };
    matrix.ask_session("project: view", |_, actor| view_project(actor, &project));
    let nobodys = ProjectFacts { company_user: None, freelance_user: None };
    matrix.ask_session("project without parties: view", |_, actor| view_project(actor, &nobodys));
    let conversation = ConversationFacts { sender: id("owner"), receiver: id("partner") };
    matrix.ask_session("conversation: take part", |_, actor| take_part(actor, &conversation));
    for action in [MessageAction::View, MessageAction::Change] {
        matrix.ask_session(&format!("message of the owner: {action:?}"), |_, actor| {
            message(actor, action, id("owner"), &conversation)
        });
    }
    // Whoever wrote a message and is no longer in the conversation has no way to it.
    matrix.ask_session("message of a stranger: change", |_, actor| {
        message(actor, MessageAction::Change, id("stranger freelance"), &conversation)
    });
    matrix.ask_session("avatar of the owner: view", |name, actor| view_avatar(actor, id("owner"), name == "partner"));
    matrix.ask_session("document of the owner: delete", |_, actor| delete_document(actor, Some(id("owner"))));
    matrix.ask_session("document of nobody: delete", |_, actor| delete_document(actor, None));
    insta::assert_snapshot!("policy", matrix.0);
}

/// Every rule that the policy has is in the matrix.
#[test]
fn the_matrix_asks_every_rule() {
    let source = include_str!("../crates/domain/src/policy.rs");
    let rules = source
        .split("\npub fn ")
        .skip(1)
        .filter(|rule| rule.split('{').next().is_some_and(|head| head.contains("-> Decision")));
    let names: Vec<&str> = rules.filter_map(|rule| rule.split(['(', '<']).next()).collect();
    assert!(names.len() >= 14, "{names:?}");
    let asked = include_str!("policy.rs");
    let missing: Vec<_> = names.iter().filter(|name| !asked.contains(&format!("{name}("))).collect();
    assert!(missing.is_empty(), "not asked: {missing:?}");
}
