import { Directive, ElementRef, effect, inject, input } from '@angular/core';

/** Tints its element for 600 ms whenever the value changes; the first value does not count as a change. */
@Directive({ selector: '[appFlash]' })
export class Flash {
  readonly value = input.required<unknown>({ alias: 'appFlash' });
  private readonly element = inject<ElementRef<HTMLElement>>(ElementRef).nativeElement;
  private last: unknown;

  constructor() {
    effect(() => {
      const value = this.value();
      const changed = this.last !== undefined && this.last !== null && this.last !== value;
      this.last = value;
      if (changed) this.tint();
    });
  }

  private tint(): void {
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) return;
    this.element.animate([{ backgroundColor: 'var(--tint)' }, { backgroundColor: 'transparent' }], {
      duration: 600,
      easing: 'ease-out',
    });
  }
}
