Feature: Who gets a seat
  A section never has more students than seats. What somebody gives back goes to who waits, in the order of the line.

  Background:
    Given a term that is open for registration
    And a course Algebra of 3 credits

  Scenario: The last seat is had once
    Given a section A1 of Algebra with 1 seat
    And students Ada and Ben
    When Ada submits A1
    And Ben submits A1
    Then A1 is refused with CLOSED
    And 1 seat of A1 is taken

  Scenario: Seats that are kept for a population are not sold to others
    Given a section A1 of Algebra with 2 seats of which 1 is kept for year 3 and above
    And a student Ada in year 1
    And a student Ben in year 1
    And a student Cleo in year 3
    When Ada submits A1
    And Ben submits A1
    Then A1 is refused with RESERVED_CLOSED
    When Cleo submits A1
    Then nothing is refused
    And 2 seats of A1 are taken

  Scenario: A seat that is given back is offered to the first in line, and nobody jumps it
    Given a section A1 of Algebra with 1 seat and a line that offers
    And students Ada, Ben, Cleo and Dan
    When Ada submits A1
    And Ada pays
    And Ben joins the line for A1
    And Cleo joins the line for A1
    Then Cleo is number 2 in the line for A1
    When Ada drops A1
    Then Ben is offered a seat in A1
    When Dan submits A1
    Then A1 is refused with CLOSED
    When Ben takes the offer for A1
    Then Ben holds a seat in A1
    And Cleo is number 1 in the line for A1

  Scenario: Who declines an offer leaves it to the next
    Given a section A1 of Algebra with 1 seat and a line that offers
    And students Ada, Ben and Cleo
    When Ada submits A1
    And Ada pays
    And Ben joins the line for A1
    And Cleo joins the line for A1
    And Ada drops A1
    Then Ben is offered a seat in A1
    When Ben leaves the line for A1
    Then Cleo is offered a seat in A1

  Scenario: A line that serves itself registers the next at once, and passes over who cannot have the seat
    Given a section A1 of Algebra with 1 seat and a line that registers
    And students Ada, Ben and Cleo
    When Ada submits A1
    And Ada pays
    And Ben joins the line for A1
    And Cleo joins the line for A1
    And the registrar's office stops Ben
    And Ada drops A1
    Then Cleo holds a seat in A1
    And Ben is number 1 in the line for A1

  Scenario: Added seats go to the line first
    Given a section A1 of Algebra with 1 seat and a line that registers
    And students Ada, Ben and Cleo
    When Ada submits A1
    And Ben joins the line for A1
    And the registrar gives A1 2 seats
    Then Ben holds a seat in A1
    When Cleo submits A1
    Then A1 is refused with CLOSED

  Scenario: Who changes sections keeps the old seat until the new one is theirs
    Given a section A1 of Algebra with 1 seat
    And a section A2 of Algebra with 1 seat
    And students Ada and Ben
    When Ada submits A1
    And Ada pays
    And Ben submits A2
    And Ada swaps A1 for A2
    Then A2 is refused with CLOSED
    And Ada is registered for A1
    And 1 seat of A1 is taken
