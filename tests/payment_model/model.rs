//! What should come out of a sequence of actions, in whole cents and without a single fault.

use freehunt_domain::{Cents, money::TransferFees};

pub const CHECKPOINTS: [i64; 2] = [12_345, 6_789];
/// What is refunded, disputed or taken back when it is not all.
pub const PART: i64 = 3_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    OpenPage,
    Pay,
    ExpirePage,
    Cancel,
    Accept,
    Submit(usize),
    Approve(usize),
    RepeatEvents,
    Fault(Fault),
    /// In Stripe's dashboard: all that is left, or a part.
    RefundByHand {
        all: bool,
    },
    /// The newest of those comes back.
    ReturnRefund,
    /// By an operator: what came back and is owed is asked for again.
    RetryRefund,
    ReverseTransfer {
        index: usize,
        all: bool,
    },
    /// By the customer's bank, at once or after it has asked first.
    Dispute {
        all: bool,
        by_inquiry: bool,
    },
    CloseDispute {
        is_won: bool,
    },
    /// The bank turns what it decided last: won is lost, lost is won.
    TurnDispute,
    /// A page for the posting that no row of ours knows is paid.
    PayUnrecorded,
    /// By an operator: the unrecorded payment is taken, or given back.
    Adopt,
    GiveBack,
    CancelProject,
}

/// What goes wrong with the next call that moves money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    LoseAnswer,
    Reset,
    /// Stored under the key, with nothing done.
    Stored,
    /// Stored under the key, with the work done.
    StoredAfterWork,
    /// The next events are told to nobody.
    Deaf,
}

/// What can be seen of it, in the database and in Stripe's books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub status: String,
    pub has_page: bool,
    pub was_paid: bool,
    /// The project's status.
    pub project: Option<String>,
    pub checkpoints: [String; 2],
    /// Cents that Stripe has given back, of whichever payment.
    pub refunded: i64,
    /// Cents that the freelance has and keeps, by checkpoint.
    pub paid_out: [i64; 2],
}

/// The payment that the posting was published on.
#[derive(Clone, Debug, Default)]
struct Payment {
    refunded: i64,
    /// The refunds made in the dashboard that have not come back, the newest last.
    by_hand: Vec<i64>,
    /// What came back, or is left since, of a payment that nobody needs any more: an operator may have it refunded.
    is_owed: bool,
    /// The amount of a dispute that is open.
    disputed: Option<i64>,
    /// The amount of the dispute that was decided last.
    decided: i64,
    lost: i64,
    /// What was left of it went back with the posting or project.
    is_given_back: bool,
    /// All of it went back, or what was left with the posting or project: it pays nothing any more.
    is_over: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Project {
    None,
    InProgress,
    Canceled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aside {
    Never,
    Waiting,
    Decided,
}

#[derive(Clone, Debug)]
pub struct Model {
    status: &'static str,
    has_page: bool,
    payment: Option<Payment>,
    aside: Aside,
    /// The unrecorded payment went back.
    aside_refunded: bool,
    project: Project,
    checkpoints: [&'static str; 2],
    paid_out: [i64; 2],
}

fn total() -> i64 {
    CHECKPOINTS.iter().sum()
}

fn net(index: usize) -> i64 {
    TransferFees::of(Cents(CHECKPOINTS[index])).net.0
}

impl Model {
    pub fn new() -> Self {
        Self {
            status: "PENDING_PAYMENT",
            has_page: false,
            payment: None,
            aside: Aside::Never,
            aside_refunded: false,
            project: Project::None,
            checkpoints: ["TODO", "TODO"],
            paid_out: [0, 0],
        }
    }

    pub fn seen(&self) -> Seen {
        let is_completed = self.project == Project::InProgress && self.is_all(&["DONE"]);
        let project = match self.project {
            Project::None => None,
            Project::InProgress if is_completed => Some("COMPLETED"),
            Project::InProgress => Some("IN_PROGRESS"),
            Project::Canceled => Some("CANCELED"),
        };
        let refunded = self.payment.as_ref().map_or(0, |payment| payment.refunded);
        Seen {
            status: self.status.to_owned(),
            has_page: self.has_page,
            was_paid: self.payment.is_some() || self.aside == Aside::Decided,
            project: project.map(ToOwned::to_owned),
            checkpoints: self.checkpoints.map(ToOwned::to_owned),
            refunded: refunded + if self.aside_refunded { total() } else { 0 },
            paid_out: self.paid_out,
        }
    }

    fn is_all(&self, statuses: &[&str]) -> bool {
        self.checkpoints.iter().all(|status| statuses.contains(status))
    }

    /// What is left of the payment: charged minus paid out, given back and lost.
    fn left(&self) -> i64 {
        let gone = |payment: &Payment| payment.refunded + payment.lost + self.paid_out.iter().sum::<i64>();
        self.payment.as_ref().map_or(0, |payment| total() - gone(payment))
    }

    fn is_disputed(&self) -> bool {
        self.payment.as_ref().is_some_and(|payment| payment.disputed.is_some())
    }

    /// Whether money of the payment may move.
    fn is_usable(&self) -> bool {
        let is_there = |payment: &Payment| !payment.is_over && payment.disputed.is_none();
        // One that a dispute has used up is of no use, even to those who ask for nothing.
        self.payment.as_ref().is_some_and(|payment| is_there(payment) && (payment.lost == 0 || self.left() > 0))
    }

    fn give_back_what_is_left(&mut self) {
        let left = self.left();
        if self.is_usable() && left > 0 {
            self.refund(left);
            self.end_payment();
            if let Some(payment) = &mut self.payment {
                payment.is_given_back = true;
            }
        }
    }

    fn refund(&mut self, amount: i64) {
        if let Some(payment) = &mut self.payment {
            payment.refunded += amount;
        }
    }

    fn end_payment(&mut self) {
        if let Some(payment) = &mut self.payment {
            payment.is_over = true;
        }
    }

    fn publish(&mut self) {
        (self.status, self.has_page, self.payment) = ("PUBLISHED", false, Some(Payment::default()));
    }

    /// Whether the action is granted; what it changes is changed.
    pub fn apply(&mut self, action: Action) -> bool {
        match action {
            Action::OpenPage => {
                let granted = self.status == "PENDING_PAYMENT";
                self.has_page |= granted;
                granted
            }
            Action::Pay => {
                let granted = self.has_page;
                if granted {
                    self.publish();
                }
                granted
            }
            Action::ExpirePage => std::mem::take(&mut self.has_page),
            Action::Cancel => self.cancel(),
            Action::Accept => {
                let is_whole = self.payment.as_ref().is_some_and(|payment| payment.lost == 0);
                let granted = self.status == "PUBLISHED" && self.project == Project::None && is_whole;
                if granted {
                    self.project = Project::InProgress;
                }
                granted
            }
            Action::Submit(index) => {
                let granted = self.project != Project::None && !["DONE", "CANCELED"].contains(&self.checkpoints[index]);
                if granted {
                    self.checkpoints[index] = "PENDING_COMPANY_APPROVAL";
                }
                granted
            }
            Action::Approve(index) => self.approve(index),
            Action::RepeatEvents | Action::Fault(_) => true,
            Action::RefundByHand { all } => self.refund_by_hand(all),
            Action::ReturnRefund => self.return_refund(),
            Action::RetryRefund => self.retry_refund(),
            Action::ReverseTransfer { index, all } => {
                let amount = if all { self.paid_out[index] } else { PART };
                let granted = amount > 0 && self.paid_out[index] >= amount;
                self.paid_out[index] -= if granted { amount } else { 0 };
                granted
            }
            Action::Dispute { all, .. } => self.dispute(all),
            Action::TurnDispute => self.turn_dispute(),
            Action::CloseDispute { is_won } => {
                let Some(payment) = &mut self.payment else { return false };
                let Some(amount) = payment.disputed.take() else { return false };
                (payment.decided, payment.lost) = (amount, if is_won { 0 } else { amount });
                true
            }
            Action::PayUnrecorded => {
                let granted = self.aside == Aside::Never;
                if granted {
                    self.aside = Aside::Waiting;
                }
                granted
            }
            Action::Adopt => self.adopt(),
            Action::GiveBack => {
                let granted = self.aside == Aside::Waiting;
                if granted {
                    (self.aside, self.aside_refunded) = (Aside::Decided, true);
                }
                granted
            }
            Action::CancelProject => self.cancel_project(),
        }
    }

    fn cancel(&mut self) -> bool {
        let granted = self.status != "CANCELED" && self.project == Project::None && !self.is_disputed();
        if granted {
            self.give_back_what_is_left();
            (self.status, self.has_page) = ("CANCELED", false);
        }
        granted
    }

    fn approve(&mut self, index: usize) -> bool {
        if self.project == Project::None || self.checkpoints[index] == "CANCELED" {
            return false;
        }
        if self.checkpoints[index] == "DONE" {
            return true;
        }
        let granted = self.is_usable() && net(index) <= self.left();
        if granted {
            (self.checkpoints[index], self.paid_out[index]) = ("DONE", net(index));
        }
        granted
    }

    fn refund_by_hand(&mut self, all: bool) -> bool {
        let amount = if all { self.left() } else { PART };
        // More than is left nobody gives back who knows what he does; Stripe refuses while the bank decides.
        if self.is_disputed() || amount <= 0 || amount > self.left() {
            return false;
        }
        self.refund(amount);
        let Some(payment) = &mut self.payment else { return false };
        payment.by_hand.push(amount);
        self.forget_what_is_settled();
        let Some(payment) = &self.payment else { return false };
        // What the bank took was not given back: the posting is its owner's to cancel.
        let is_given_back = payment.refunded + self.paid_out.iter().sum::<i64>() >= total();
        if is_given_back && !payment.is_over {
            self.end_payment();
            if self.status == "PUBLISHED" && self.project == Project::None {
                self.status = "CANCELED";
            }
        }
        true
    }

    fn return_refund(&mut self) -> bool {
        let is_given_up = self.status == "CANCELED" || self.project == Project::Canceled;
        let Some(payment) = &mut self.payment else { return false };
        let Some(amount) = payment.by_hand.pop() else { return false };
        payment.refunded -= amount;
        let is_there = self.left() > 0;
        if let Some(payment) = self.payment.as_mut().filter(|_| is_there) {
            // Our own refund is only made of what was given up.
            (payment.is_over, payment.is_owed) = (is_given_up, is_given_up);
        }
        self.forget_what_is_settled();
        true
    }

    /// Nothing is owed of which nothing is left.
    fn forget_what_is_settled(&mut self) {
        let left = self.left();
        if let Some(payment) = &mut self.payment {
            payment.is_owed &= left > 0 || payment.refunded == 0;
        }
    }

    fn retry_refund(&mut self) -> bool {
        let left = self.left();
        let Some(payment) = &mut self.payment else { return false };
        let granted = payment.is_owed && payment.disputed.is_none() && left > 0;
        if granted {
            payment.refunded += left;
            (payment.is_owed, payment.is_given_back) = (false, true);
        }
        granted
    }

    fn dispute(&mut self, all: bool) -> bool {
        let Some(payment) = &mut self.payment else { return false };
        let unrefunded = total() - payment.refunded;
        let amount = if all { unrefunded } else { PART };
        let granted = payment.disputed.is_none() && payment.lost == 0 && amount > 0 && amount <= unrefunded;
        if granted {
            payment.disputed = Some(amount);
        }
        granted
    }

    fn turn_dispute(&mut self) -> bool {
        let Some(payment) = &mut self.payment else { return false };
        // What comes back once the rest was given back is an operator's to decide on.
        if payment.disputed.is_some() || payment.decided == 0 || payment.is_given_back {
            return false;
        }
        payment.lost = payment.decided - payment.lost;
        if payment.lost == 0 && (self.status == "CANCELED" || self.project == Project::Canceled) {
            self.give_back_what_is_left();
        }
        true
    }

    fn adopt(&mut self) -> bool {
        // What it has to be over is what the checkpoints cost that are not canceled.
        if self.aside != Aside::Waiting || self.checkpoints.contains(&"CANCELED") {
            return false;
        }
        self.aside = Aside::Decided;
        if self.status == "PENDING_PAYMENT" {
            self.publish();
        } else {
            self.aside_refunded = true;
        }
        true
    }

    fn cancel_project(&mut self) -> bool {
        let is_running = self.project == Project::InProgress && !self.is_all(&["DONE"]);
        if !is_running || self.is_disputed() {
            return false;
        }
        self.give_back_what_is_left();
        self.project = Project::Canceled;
        for status in &mut self.checkpoints {
            if *status != "DONE" {
                *status = "CANCELED";
            }
        }
        true
    }
}
