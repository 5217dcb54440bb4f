import { ChangeDetectionStrategy, Component, inject } from '@angular/core';
import { MAT_DIALOG_DATA, MatDialogModule, MatDialogRef } from '@angular/material/dialog';

import { Portfolio, ShareTrade } from '../../core/api/types';
import { FORM_FIELDS } from '../../ui/form-fields';
import { TradeForm } from './trade-form';

export interface TradeToChange {
  portfolio: Portfolio;
  trade: ShareTrade;
}

/** Changes a booked trade; closes with true once it is changed. */
@Component({
  imports: [MatDialogModule, TradeForm],
  template: `
    <h2 mat-dialog-title>Change trade</h2>
    <mat-dialog-content>
      <app-trade-form
        [portfolio]="data.portfolio"
        [trade]="data.trade"
        (changed)="dialog.close(true)"
        (cancelled)="dialog.close(false)"
      />
    </mat-dialog-content>
  `,
  styles: `
    app-trade-form {
      display: block;
      padding-top: 6px;
    }
  `,
  providers: [FORM_FIELDS],
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class TradeDialog {
  protected readonly data = inject<TradeToChange>(MAT_DIALOG_DATA);
  protected readonly dialog = inject<MatDialogRef<TradeDialog, boolean>>(MatDialogRef);
}
