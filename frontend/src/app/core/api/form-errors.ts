import { FieldTree, ValidationError } from '@angular/forms/signals';

import { Problem, spread } from './problem';

export interface FormErrors {
  /** To be returned from a form's submit action. */
  fields: ValidationError.WithOptionalFieldTree[];
  /** What concerns no single field; null when every error found its field. */
  general: string | null;
}

/** Put a problem's errors where the reader looks for them: each at its field, the rest at the form. */
export function toFormErrors<T extends object>(
  problem: Problem,
  form: FieldTree<T>,
  names: readonly (keyof T & string)[],
): FormErrors {
  const fields: ValidationError.WithOptionalFieldTree[] = [];
  const general: string[] = [];
  for (const { field, message } of spread(problem, names)) {
    if (field === null) general.push(message);
    else {
      const fieldTree = form[field as keyof FieldTree<T>] as unknown as FieldTree<unknown>;
      fields.push({ kind: 'server', message, fieldTree });
    }
  }
  return { fields, general: general.length > 0 ? general.join(' ') : null };
}
