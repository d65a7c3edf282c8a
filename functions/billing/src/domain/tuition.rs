//! What a term costs: tuition groups by priority and population, their rules and fees, and what is given back
//! of it when registrations are dropped.

use kernel::{Currency, Date, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::term_bill::Registered;
use super::{ChargeCode, PriceGroupCode, Refusal};

/// What is known of a student that decides what they pay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Population {
    #[schemars(length(min = 1, max = 40))]
    pub programme: Option<String>,
    #[schemars(length(min = 1, max = 40))]
    pub level: Option<String>,
    #[schemars(length(min = 1, max = 40))]
    pub residency: Option<String>,
    #[schemars(length(min = 1, max = 40))]
    pub campus: Option<String>,
    pub cohort_year: Option<i16>,
}

/// Whom a tuition group is for; an empty list leaves everybody in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Criteria {
    pub programmes: Vec<String>,
    pub levels: Vec<String>,
    pub residencies: Vec<String>,
    pub campuses: Vec<String>,
    pub cohort_years: Vec<i16>,
}

impl Criteria {
    pub fn include(&self, population: &Population) -> bool {
        fn is_in<T: PartialEq>(allowed: &[T], value: Option<&T>) -> bool {
            allowed.is_empty() || value.is_some_and(|value| allowed.contains(value))
        }
        is_in(&self.programmes, population.programme.as_ref())
            && is_in(&self.levels, population.level.as_ref())
            && is_in(&self.residencies, population.residency.as_ref())
            && is_in(&self.campuses, population.campus.as_ref())
            && is_in(&self.cohort_years, population.cohort_year.as_ref())
    }
}

/// From so many credits on, until the next band begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// Hundredths of a credit, this many included.
    pub from_hundredths: u32,
    pub flat: Money,
    /// For every credit, not only those within the band.
    pub per_credit: Money,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum TuitionRule {
    /// Each registration at its section's price group.
    PriceGroups,
    /// The same for whoever is registered for anything.
    Flat {
        amount: Money,
    },
    PerCredit {
        amount: Money,
    },
    /// By all credits of the term together; the lowest band holds for those who have dropped everything, too.
    Banded {
        #[schemars(length(min = 1, max = 20))]
        bands: Vec<Band>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fee {
    /// Once for whoever is registered for anything.
    Term { code: ChargeCode, amount: Money },
    /// For each registration in a section of this price group, such as one with a laboratory.
    Course { code: ChargeCode, price_group: PriceGroupCode, amount: Money },
    /// Once for whoever registered for anything on this day or later.
    LateRegistration { code: ChargeCode, from: Date, amount: Money },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TuitionGroup {
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
    /// The lowest that includes the student counts.
    pub priority: u32,
    #[serde(default)]
    pub criteria: Criteria,
    pub rule: TuitionRule,
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub fees: Vec<Fee>,
}

/// What the days of a calendar are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Days into the term: its first day is day 0.
    Days,
    /// Completed days per hundred days of the term.
    PercentOfLength,
}

/// What is given back of what a drop saves, from this point on until the next row begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CalendarRow {
    /// In the calendar's basis, this point included.
    pub from: u16,
    /// Hundredths of a per cent: 7500 is 75 %.
    #[schemars(range(max = 10_000))]
    pub refund_basis_points: u16,
    /// Kept back of each refund, as far as the refund goes.
    pub administrative_fee: Option<Money>,
}

/// Of a drop before the first row everything is given back; so it is where there is no calendar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdjustmentCalendar {
    pub first_day: Date,
    pub last_day: Date,
    pub basis: Basis,
    #[schemars(length(min = 1, max = 60))]
    pub rows: Vec<CalendarRow>,
}

impl AdjustmentCalendar {
    /// The row of a date, which is the effective one of the drop in the institution's time zone.
    pub fn row(&self, date: Date) -> Option<&CalendarRow> {
        let into = days_between(self.first_day, date);
        let length = i64::from(days_between(self.first_day, self.last_day)) + 1;
        let point = match self.basis {
            Basis::Days => i64::from(into),
            Basis::PercentOfLength => i64::from(into) * 100 / length.max(1),
        };
        if into < 0 {
            return None;
        }
        self.rows.iter().filter(|row| i64::from(row.from) <= point).max_by_key(|row| row.from)
    }
}

fn days_between(from: Date, to: Date) -> i32 {
    (to - from).get_days()
}

/// How a drop that leads into another band is adjusted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BandPolicy {
    /// By the band that the credits left over lie in.
    #[default]
    Recompute,
    /// By the band that the credits lay in before.
    SameBand,
}

/// Whether credits that were dropped and credits that were added cancel out, so that no calendar touches them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wash {
    None,
    #[default]
    SameDay,
    WholeTerm,
}

/// The rules of one term.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TuitionRules {
    #[schemars(length(max = 50))]
    pub groups: Vec<TuitionGroup>,
    pub calendar: Option<AdjustmentCalendar>,
    pub band_policy: BandPolicy,
    pub wash: Wash,
}

/// What one thing costs by the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessed {
    pub code: ChargeCode,
    /// Absent for what is charged for the term.
    pub registration: Option<kernel::RegistrationId>,
    pub description: String,
    pub quantity_hundredths: u32,
    pub unit_price: Money,
    pub amount: Money,
}

impl TuitionRules {
    /// Refuses amounts below nothing, bands out of order, and a calendar that ends before it begins.
    pub fn check(&self) -> Result<(), Refusal> {
        let not_negative = |amount: &Money| {
            if amount.minor < 0 { Err(Refusal::PriceNegative) } else { Ok(()) }
        };
        for group in &self.groups {
            match &group.rule {
                TuitionRule::PriceGroups => {}
                TuitionRule::Flat { amount } | TuitionRule::PerCredit { amount } => {
                    not_negative(amount)?;
                }
                TuitionRule::Banded { bands } => {
                    for band in bands {
                        not_negative(&band.flat)?;
                        not_negative(&band.per_credit)?;
                        if band.flat.currency != band.per_credit.currency {
                            return Err(Refusal::CurrenciesDiffer);
                        }
                    }
                    if !bands.is_sorted_by(|one, next| one.from_hundredths < next.from_hundredths) {
                        return Err(Refusal::BandsOutOfOrder);
                    }
                }
            }
            for Fee::Term { amount, .. }
            | Fee::Course { amount, .. }
            | Fee::LateRegistration { amount, .. } in &group.fees
            {
                not_negative(amount)?;
            }
        }
        let rows = self.calendar.iter().flat_map(|calendar| &calendar.rows);
        for fee in rows.filter_map(|row| row.administrative_fee.as_ref()) {
            not_negative(fee)?;
        }
        match &self.calendar {
            Some(calendar) if calendar.last_day < calendar.first_day => {
                Err(Refusal::CalendarOutOfOrder)
            }
            _ => Ok(()),
        }
    }

    /// The first group that includes the student.
    pub fn group(&self, population: &Population) -> Option<&TuitionGroup> {
        let groups = self.groups.iter().filter(|group| group.criteria.include(population));
        groups.min_by_key(|group| group.priority)
    }

    /// What these registrations cost. Tuition by bands is taken from the band of `banded_by` credits, which are those
    /// of the registrations unless a policy says otherwise.
    pub fn assess(
        &self,
        population: &Population,
        registered: &[Registered],
        banded_by_hundredths: Option<u32>,
        currency: Currency,
    ) -> Result<Vec<Assessed>, Refusal> {
        let Some(group) = self.group(population) else {
            return registered.iter().map(at_price_group).collect();
        };
        let credits: u32 = registered.iter().map(|one| one.credits_hundredths).sum();
        let mut assessed = match &group.rule {
            TuitionRule::PriceGroups => {
                registered.iter().map(at_price_group).collect::<Result<_, _>>()?
            }
            TuitionRule::Flat { .. } if registered.is_empty() => Vec::new(),
            TuitionRule::Flat { amount } => vec![of_term(ChargeCode::tuition(), *amount)],
            TuitionRule::PerCredit { amount } => {
                let each = registered.iter().map(|one| of_registration(one, *amount));
                each.collect::<Result<_, _>>()?
            }
            TuitionRule::Banded { bands } => {
                let by = banded_by_hundredths.unwrap_or(credits);
                let band = bands.iter().rev().find(|band| band.from_hundredths <= by);
                band.map(|band| banded(band, credits)).transpose()?.into_iter().collect()
            }
        };
        for fee in &group.fees {
            assessed.extend(fee_of(fee, registered));
        }
        assessed.retain(|one| one.amount.minor != 0 || one.registration.is_some());
        if assessed.iter().any(|one| one.amount.currency != currency) {
            return Err(Refusal::CurrenciesDiffer);
        }
        Ok(assessed)
    }
}

fn of_term(code: ChargeCode, amount: Money) -> Assessed {
    let description = code.0.clone();
    Assessed {
        code,
        registration: None,
        description,
        quantity_hundredths: 100,
        unit_price: amount,
        amount,
    }
}

fn of_registration(registered: &Registered, per_credit: Money) -> Result<Assessed, Refusal> {
    Ok(Assessed {
        code: ChargeCode::tuition(),
        registration: Some(registered.registration),
        description: registered.description(),
        quantity_hundredths: registered.credits_hundredths,
        unit_price: per_credit,
        amount: per_credit.fraction(i64::from(registered.credits_hundredths), 100)?,
    })
}

fn at_price_group(registered: &Registered) -> Result<Assessed, Refusal> {
    of_registration(registered, registered.per_credit)
}

fn banded(band: &Band, credits_hundredths: u32) -> Result<Assessed, Refusal> {
    let units = band.per_credit.fraction(i64::from(credits_hundredths), 100)?;
    Ok(Assessed {
        quantity_hundredths: credits_hundredths,
        unit_price: band.per_credit,
        ..of_term(ChargeCode::tuition(), band.flat.checked_add(units)?)
    })
}

fn fee_of(fee: &Fee, registered: &[Registered]) -> Vec<Assessed> {
    match fee {
        Fee::Term { code, amount } if !registered.is_empty() => {
            vec![of_term(code.clone(), *amount)]
        }
        Fee::Term { .. } => Vec::new(),
        Fee::Course { code, price_group, amount } => registered
            .iter()
            .filter(|one| one.price_group == *price_group)
            .map(|one| Assessed {
                registration: Some(one.registration),
                description: format!("{} {}", code.0, one.section_code),
                ..of_term(code.clone(), *amount)
            })
            .collect(),
        Fee::LateRegistration { code, from, amount } => {
            let is_late = registered.iter().any(|one| one.registered_on >= *from);
            is_late.then(|| of_term(code.clone(), *amount)).into_iter().collect()
        }
    }
}
