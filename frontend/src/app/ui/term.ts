import { ChangeDetectionStrategy, Component, computed, input } from '@angular/core';
import { MatTooltip } from '@angular/material/tooltip';

/** One line for every term of art on the page; docs/risk-methods.md has the formulas. */
const TERMS = {
  VaR: 'Value at Risk: the loss that only 1 day in 20 should exceed (1 in 40 or in 100, as set), if the days to come are like those of the window.',
  ES: 'Expected shortfall: the average loss on those days on which the loss is beyond VaR.',
  volatility:
    'How much the daily return spreads around its average over the window, scaled to a year (× √252).',
  value: 'What all positions are worth together at the last known prices, shorts subtracted.',
  component:
    'The part of the whole that this position brings. The parts add up to the total exactly; a hedge’s part is negative.',
  beta: 'By how much the position moves, on average, when the benchmark moves by one percent.',
  correlation:
    'From −1 (always opposite) over 0 (unrelated) to +1 (always together), from daily returns.',
  historical:
    'Today’s positions put through each day of the window; VaR and ES are read from the sorted results. No assumption about the shape.',
  covariance:
    'Assumes normally distributed returns with the window’s covariances. Understates rare, large losses.',
  ewma: 'Like covariance, but recent days weigh more (λ = 0.94), so it reacts within days.',
  filtered:
    'Each day of up to 1,000 rescaled to today’s volatility of each name: past shapes at the present level of unrest.',
  student_t:
    'Like covariance, but with the fat tails of a Student-t of six degrees of freedom, so large losses count for more.',
  spread:
    'How far the lowest and the highest method lie apart, as a share of the figure that leads. Wide: trust no single figure.',
  interval:
    'How uncertain the figure itself is: if the past were drawn again, 9 times in 10 it would come out in this range.',
  'effective bets':
    'How many independent sources the risk comes from, from 1 (one thing drives it all) up to the number of positions.',
  'diversification ratio':
    'The volatilities of the positions added up, divided by the portfolio’s. 1: nothing offsets anything; 2: half of it cancels.',
  'effective positions':
    'How many positions of equal size would be as concentrated as these, by the squares of their weights.',
  'time-weighted':
    'What money has earned that was there throughout: when something was paid in or taken out does not matter. For comparing with others.',
  'money-weighted':
    'What your own money has earned, as it came and went: the one rate that turns all that was paid in into what was taken out and what is there now.',
  'by beta':
    'The name was not traded then: what its beta times the market’s move of then would have made of it.',
} as const;

export type TermName = keyof typeof TERMS;

/** A word with its explanation on hover, on focus and for screen readers. */
@Component({
  selector: 'app-term',
  imports: [MatTooltip],
  template: `<span tabindex="0" [matTooltip]="text()"><ng-content /></span>`,
  styles: `
    span {
      text-decoration: underline dotted color-mix(in srgb, currentColor 45%, transparent);
      text-underline-offset: 3px;
      cursor: help;
    }
  `,
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Term {
  readonly of = input.required<TermName>();
  protected readonly text = computed(() => TERMS[this.of()]);
}
