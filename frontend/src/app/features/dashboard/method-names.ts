import { RiskMethod } from '../../core/api/types';

/** The methods as tables call them, the default first. */
export const METHOD_NAMES: Record<RiskMethod, string> = {
  filtered: 'Filtered historical',
  historical: 'Historical',
  ewma: 'EWMA, λ 0.94',
  student_t: 'Student-t covariance',
  covariance: 'Covariance, normal',
};
