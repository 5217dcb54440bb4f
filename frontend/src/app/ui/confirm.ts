import { ChangeDetectionStrategy, Component, inject } from '@angular/core';
import { MatButton } from '@angular/material/button';
import { MAT_DIALOG_DATA, MatDialog, MatDialogModule } from '@angular/material/dialog';
import { firstValueFrom } from 'rxjs';

export interface Question {
  title: string;
  text: string;
  /** What the confirming button says: the deed itself, not "OK". */
  action: string;
}

/** Asks before something is done that cannot simply be taken back. */
@Component({
  imports: [MatDialogModule, MatButton],
  template: `
    <h2 mat-dialog-title>{{ question.title }}</h2>
    <mat-dialog-content>{{ question.text }}</mat-dialog-content>
    <mat-dialog-actions align="end">
      <button matButton [mat-dialog-close]="false">Keep it</button>
      <button matButton="filled" class="danger" [mat-dialog-close]="true" data-testid="confirm">
        {{ question.action }}
      </button>
    </mat-dialog-actions>
  `,
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Confirm {
  protected readonly question = inject<Question>(MAT_DIALOG_DATA);
}

/** True when the reader confirmed. */
export async function confirm(dialog: MatDialog, question: Question): Promise<boolean> {
  const opened = dialog.open<Confirm, Question, boolean>(Confirm, {
    data: question,
    width: '420px',
    autoFocus: 'first-tabbable',
  });
  return (await firstValueFrom(opened.afterClosed())) === true;
}
