import { Palette } from './chart';

/** The look of a chart's tooltip. */
export function tooltipStyle(palette: Palette) {
  return {
    backgroundColor: palette.card,
    borderColor: palette.line,
    padding: [6, 10],
    textStyle: { color: palette.ink, fontSize: 12 },
    extraCssText: 'box-shadow: none',
    confine: true,
    transitionDuration: 0,
  };
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Text for a tooltip's HTML; tickers and names come from outside. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ENTITIES[character]);
}
