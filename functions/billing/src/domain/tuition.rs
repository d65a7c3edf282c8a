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
    /// Scholarships that were awarded, by the names under which discounts ask for them.
    #[serde(default)]
    #[schemars(length(max = 20), inner(length(min = 1, max = 40)))]
    pub scholarships: Vec<String>,
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
    /// Whoever was awarded one of these.
    pub scholarships: Vec<String>,
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
            && (self.scholarships.is_empty()
                || population.scholarships.iter().any(|one| self.scholarships.contains(one)))
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

/// How much of a price is not asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Reduction {
    /// Of each line, rounded there; in all no more than the cap.
    Share {
        /// Hundredths of a per cent: 2500 is 25 %.
        #[schemars(range(min = 1, max = 10_000))]
        basis_points: u16,
        cap: Option<Money>,
    },
    /// So much in all, off the first lines first.
    Amount { amount: Money },
}

impl Reduction {
    /// The most that it comes to in all, where it names one.
    pub(super) fn most(&self) -> Option<Money> {
        match self {
            Self::Share { cap, .. } => *cap,
            Self::Amount { amount } => Some(*amount),
        }
    }

    /// What of one line it comes to, where there is room for it.
    pub(super) fn part_of(&self, line: Money) -> Result<Money, Refusal> {
        Ok(match self {
            Self::Share { basis_points, .. } => line.fraction(i64::from(*basis_points), 10_000)?,
            Self::Amount { .. } => line,
        })
    }
}

/// A scholarship or a discount: part of what the rules come to is not asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Discount {
    /// Shown on the lines that it makes cheaper.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
    #[serde(default)]
    pub criteria: Criteria,
    /// What it makes cheaper; everything where there are none.
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub codes: Vec<ChargeCode>,
    pub reduction: Reduction,
}

impl Discount {
    /// Takes it off what the discounts before it have left. No price becomes less than nothing.
    fn reduce(&self, assessed: &mut [Assessed]) -> Result<(), Refusal> {
        let most = self.reduction.most();
        let mut left = most.map_or(i64::MAX, |most| most.minor);
        let is_meant =
            |one: &&mut Assessed| self.codes.is_empty() || self.codes.contains(&one.code);
        for one in assessed.iter_mut().filter(is_meant) {
            if most.is_some_and(|most| most.currency != one.amount.currency) {
                return Err(Refusal::CurrenciesDiffer);
            }
            let off = self.reduction.part_of(one.amount)?.minor.min(left);
            if off > 0 {
                left -= off;
                one.amount.minor -= off;
                one.description = format!("{} ({})", one.description, self.name);
            }
        }
        Ok(())
    }
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
    /// Scholarships and discounts, each off what those before it have left.
    #[schemars(length(max = 50))]
    pub discounts: Vec<Discount>,
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
        for most in self.discounts.iter().filter_map(|one| one.reduction.most()) {
            not_negative(&most)?;
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
        let mut assessed = self.at_full_price(population, registered, banded_by_hundredths)?;
        if assessed.iter().any(|one| one.amount.currency != currency) {
            return Err(Refusal::CurrenciesDiffer);
        }
        for discount in self.discounts.iter().filter(|one| one.criteria.include(population)) {
            discount.reduce(&mut assessed)?;
        }
        assessed.retain(|one| one.amount.minor != 0 || one.registration.is_some());
        Ok(assessed)
    }

    fn at_full_price(
        &self,
        population: &Population,
        registered: &[Registered],
        banded_by_hundredths: Option<u32>,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn francs(minor: i64) -> Money {
        Money::new(minor, "XAF".parse().expect("a currency"))
    }

    fn discount(name: &str, codes: &[&str], reduction: Reduction) -> Discount {
        let codes = codes.iter().map(|code| ChargeCode((*code).to_owned())).collect();
        Discount { name: name.into(), criteria: Criteria::default(), codes, reduction }
    }

    /// What a term at 1,001 with a library's fee of 100 comes to, code by code.
    fn assess(discounts: Vec<Discount>, population: &Population) -> Vec<(String, i64)> {
        let library = Fee::Term { code: ChargeCode("LIBRARY".into()), amount: francs(100) };
        let group = TuitionGroup {
            name: "all".into(),
            priority: 1,
            criteria: Criteria::default(),
            rule: TuitionRule::Flat { amount: francs(1_001) },
            fees: vec![library],
        };
        let rules = TuitionRules { groups: vec![group], discounts, ..TuitionRules::default() };
        let registered = Registered {
            registration: kernel::Id::derived_from("one"),
            bundle: kernel::Id::derived_from("one"),
            section_code: "MATH101-A".into(),
            course_title: "Calculus".into(),
            credits_hundredths: 300,
            price_group: PriceGroupCode("standard".into()),
            per_credit: francs(1),
            registered_on: "2027-01-15".parse().expect("a date"),
            unwashed_hundredths: 300,
        };
        let assessed = rules.assess(population, &[registered], None, francs(0).currency);
        let assessed = assessed.expect("in range").into_iter();
        assessed.map(|one| (one.description, one.amount.minor)).collect()
    }

    #[test]
    fn a_discount_is_of_its_codes_rounded_by_line_and_off_what_those_before_have_left() {
        let nobody = Population::default();
        let half = || Reduction::Share { basis_points: 5_000, cap: None };
        let told = assess(vec![discount("half", &["TUITION"], half())], &nobody);
        assert_eq!(told, [("TUITION (half)".into(), 500), ("LIBRARY".into(), 100)]);
        let both = vec![
            discount("half", &["TUITION"], half()),
            discount("grant", &[], Reduction::Amount { amount: francs(550) }),
        ];
        let told = assess(both, &nobody);
        assert_eq!(told, [("LIBRARY (grant)".into(), 50)], "the tuition is nothing then");
        let capped = Reduction::Share { basis_points: 10_000, cap: Some(francs(1_050)) };
        let told = assess(vec![discount("full", &[], capped)], &nobody);
        assert_eq!(told, [("LIBRARY (full)".into(), 51)]);
        let more = Reduction::Amount { amount: francs(5_000) };
        assert_eq!(
            assess(vec![discount("all", &[], more)], &nobody),
            [],
            "never less than nothing"
        );
    }

    #[test]
    fn a_scholarship_is_for_whoever_was_awarded_it() {
        let merit = Discount {
            criteria: Criteria { scholarships: vec!["merit".into()], ..Criteria::default() },
            ..discount("merit", &[], Reduction::Amount { amount: francs(1) })
        };
        let awarded = Population { scholarships: vec!["merit".into()], ..Population::default() };
        let sum = |population: &Population| {
            assess(vec![merit.clone()], population).iter().map(|one| one.1).sum::<i64>()
        };
        assert_eq!((sum(&Population::default()), sum(&awarded)), (1_101, 1_100));
    }

    #[test]
    fn a_discount_of_another_currency_or_of_less_than_nothing_is_refused() {
        let euros = Money::new(5, "EUR".parse().expect("a currency"));
        let mut one = of_term(ChargeCode::tuition(), francs(5));
        let other = discount("other", &[], Reduction::Amount { amount: euros });
        let refused = other.reduce(std::slice::from_mut(&mut one));
        assert_eq!(refused, Err(Refusal::CurrenciesDiffer));
        let less = discount("less", &[], Reduction::Amount { amount: francs(-1) });
        let rules = TuitionRules { discounts: vec![less], ..TuitionRules::default() };
        assert_eq!(rules.check(), Err(Refusal::PriceNegative));
    }
}
