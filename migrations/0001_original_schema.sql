-- The schema of the original backend after its 28 migrations, as one statement list. On a database that the
-- original made, this migration is recorded as applied without being run (see freehunt_domain::schema).

CREATE TYPE "CandidateStatus" AS ENUM ('PENDING', 'ACCEPTED', 'REJECTED');
CREATE TYPE "CheckpointStatus" AS ENUM ('TODO', 'IN_PROGRESS', 'DONE', 'PENDING_COMPANY_APPROVAL', 'DELAYED', 'CANCELED');
CREATE TYPE "DocumentType" AS ENUM ('INVOICE', 'QUOTE', 'AVATAR');
CREATE TYPE "JobPostingLocation" AS ENUM ('HYBRID', 'ONSITE', 'REMOTE');
CREATE TYPE "JobPostingStatus" AS ENUM ('PENDING_PAYMENT', 'PAID', 'PUBLISHED', 'DRAFT', 'EXPIRED', 'REJECTED', 'CANCELED');
CREATE TYPE "ProjectStatus" AS ENUM ('IN_PROGRESS', 'COMPLETED', 'CANCELED');
CREATE TYPE "Role" AS ENUM ('FREELANCE', 'COMPANY');
CREATE TYPE "SkillType" AS ENUM ('TECHNICAL', 'SOFT');

CREATE TABLE "Candidate" (
    "id" uuid NOT NULL DEFAULT gen_random_uuid(),
    "jobPostingId" uuid NOT NULL,
    "freelanceId" uuid NOT NULL,
    "status" "CandidateStatus" NOT NULL DEFAULT 'PENDING'::"CandidateStatus",
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "Candidate_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "Checkpoint" (
    "id" uuid NOT NULL DEFAULT gen_random_uuid(),
    "name" text NOT NULL,
    "description" text NOT NULL,
    "date" timestamp(3) NOT NULL,
    "jobPostingId" uuid NOT NULL,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "status" "CheckpointStatus" NOT NULL DEFAULT 'TODO'::"CheckpointStatus",
    "amount" double precision NOT NULL DEFAULT 1,
    "submittedAt" timestamp(3),
    "submittedBy" uuid,
    "validatedAt" timestamp(3),
    "validatedBy" uuid,
    CONSTRAINT "Checkpoint_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "Company" (
    "id" uuid NOT NULL DEFAULT gen_random_uuid(),
    "userId" uuid NOT NULL,
    "name" text NOT NULL,
    "siren" text NOT NULL,
    "description" text NOT NULL,
    "address" text NOT NULL,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "Company_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "Conversation" (
    "id" uuid NOT NULL DEFAULT gen_random_uuid(),
    "receiverId" uuid NOT NULL,
    "senderId" uuid NOT NULL,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "Conversation_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "Document" (
    "id" uuid NOT NULL DEFAULT gen_random_uuid(),
    "name" text NOT NULL,
    "url" text NOT NULL,
    "type" "DocumentType" NOT NULL,
    "freelanceId" uuid,
    "invoiceId" uuid,
    "quoteId" uuid,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "userId" uuid,
    "messageId" uuid,
    CONSTRAINT "Document_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "Freelance" (
    "id" uuid NOT NULL DEFAULT gen_random_uuid(),
    "userId" uuid NOT NULL,
    "firstName" text NOT NULL,
    "lastName" text NOT NULL,
    "averageDailyRate" double precision NOT NULL,
    "jobTitle" text NOT NULL,
    "location" text NOT NULL,
    "seniority" integer NOT NULL,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "stripeAccountId" text,
    CONSTRAINT "Freelance_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "Invoice" (
    "id" uuid NOT NULL DEFAULT gen_random_uuid(),
    "quoteId" uuid NOT NULL,
    "amount" double precision,
    "valueAddedTax" double precision,
    "documentId" uuid NOT NULL,
    "projectId" uuid,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "invoiceLink" text NOT NULL,
    "stripeSessionId" uuid NOT NULL,
    CONSTRAINT "Invoice_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "JobPosting" (
    "id" uuid NOT NULL DEFAULT gen_random_uuid(),
    "companyId" uuid NOT NULL,
    "title" text NOT NULL,
    "description" text NOT NULL,
    "isPromoted" boolean NOT NULL,
    "location" "JobPostingLocation" NOT NULL,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "averageDailyRate" double precision NOT NULL,
    "seniority" integer NOT NULL,
    "totalAmount" double precision,
    "status" "JobPostingStatus" NOT NULL DEFAULT 'PENDING_PAYMENT'::"JobPostingStatus",
    "cancelReason" text,
    "canceledAt" timestamp(3),
    "stripeRefundId" text,
    "stripeSessionId" text,
    CONSTRAINT "JobPosting_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "Log" (
    "id" uuid NOT NULL DEFAULT gen_random_uuid(),
    "timestamp" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "tableName" text NOT NULL,
    "action" text NOT NULL,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "Log_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "Message" (
    "id" uuid NOT NULL DEFAULT gen_random_uuid(),
    "conversationId" uuid NOT NULL,
    "senderId" uuid NOT NULL,
    "receiverId" uuid NOT NULL,
    "documentId" uuid,
    "timestamp" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "content" text NOT NULL,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "Message_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "Project" (
    "id" uuid NOT NULL DEFAULT gen_random_uuid(),
    "name" text NOT NULL,
    "description" text NOT NULL,
    "endDate" timestamp(3),
    "freelanceId" uuid,
    "jobPostingId" uuid NOT NULL,
    "startDate" timestamp(3) NOT NULL,
    "conversationId" uuid,
    "companyId" uuid,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "amount" double precision NOT NULL DEFAULT 1,
    "status" "ProjectStatus" NOT NULL DEFAULT 'IN_PROGRESS'::"ProjectStatus",
    CONSTRAINT "Project_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "Quote" (
    "id" uuid NOT NULL DEFAULT gen_random_uuid(),
    "checkpointId" uuid NOT NULL,
    "amount" double precision,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "devisLink" text,
    "stripeSessionId" uuid NOT NULL,
    CONSTRAINT "Quote_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "Skill" (
    "id" uuid NOT NULL DEFAULT gen_random_uuid(),
    "name" text NOT NULL,
    "normalizedName" text NOT NULL,
    "aliases" text[],
    "type" "SkillType" NOT NULL,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "Skill_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "User" (
    "id" uuid NOT NULL DEFAULT gen_random_uuid(),
    "email" text NOT NULL,
    "role" "Role" NOT NULL,
    "username" text NOT NULL,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "User_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "_FreelanceToSkill" (
    "A" uuid NOT NULL,
    "B" uuid NOT NULL,
    CONSTRAINT "_FreelanceToSkill_AB_pkey" PRIMARY KEY ("A", "B")
);
CREATE TABLE "_JobPostingToSkill" (
    "A" uuid NOT NULL,
    "B" uuid NOT NULL,
    CONSTRAINT "_JobPostingToSkill_AB_pkey" PRIMARY KEY ("A", "B")
);

CREATE UNIQUE INDEX "Company_userId_key" ON "Company" ("userId");
CREATE UNIQUE INDEX "Document_invoiceId_key" ON "Document" ("invoiceId");
CREATE UNIQUE INDEX "Document_messageId_key" ON "Document" ("messageId");
CREATE UNIQUE INDEX "Document_quoteId_key" ON "Document" ("quoteId");
CREATE UNIQUE INDEX "Document_userId_key" ON "Document" ("userId");
CREATE UNIQUE INDEX "Freelance_userId_key" ON "Freelance" ("userId");
CREATE UNIQUE INDEX "Invoice_projectId_key" ON "Invoice" ("projectId");
CREATE UNIQUE INDEX "Invoice_quoteId_key" ON "Invoice" ("quoteId");
CREATE UNIQUE INDEX "Invoice_stripeSessionId_key" ON "Invoice" ("stripeSessionId");
CREATE UNIQUE INDEX "Message_documentId_key" ON "Message" ("documentId");
CREATE UNIQUE INDEX "Project_conversationId_key" ON "Project" ("conversationId");
CREATE UNIQUE INDEX "Project_jobPostingId_key" ON "Project" ("jobPostingId");
CREATE UNIQUE INDEX "Quote_checkpointId_key" ON "Quote" ("checkpointId");
CREATE UNIQUE INDEX "Quote_stripeSessionId_key" ON "Quote" ("stripeSessionId");
CREATE UNIQUE INDEX "Skill_name_key" ON "Skill" (name);
CREATE UNIQUE INDEX "Skill_normalizedName_key" ON "Skill" ("normalizedName");
CREATE UNIQUE INDEX "User_email_key" ON "User" (email);
CREATE INDEX "_FreelanceToSkill_B_index" ON "_FreelanceToSkill" ("B");
CREATE INDEX "_JobPostingToSkill_B_index" ON "_JobPostingToSkill" ("B");

ALTER TABLE "Candidate" ADD CONSTRAINT "Candidate_freelanceId_fkey" FOREIGN KEY ("freelanceId") REFERENCES "Freelance" ("id") ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE "Candidate" ADD CONSTRAINT "Candidate_jobPostingId_fkey" FOREIGN KEY ("jobPostingId") REFERENCES "JobPosting" ("id") ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE "Checkpoint" ADD CONSTRAINT "Checkpoint_jobPostingId_fkey" FOREIGN KEY ("jobPostingId") REFERENCES "JobPosting" ("id") ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE "Company" ADD CONSTRAINT "Company_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User" ("id") ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE "Conversation" ADD CONSTRAINT "Conversation_receiverId_fkey" FOREIGN KEY ("receiverId") REFERENCES "User" ("id") ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE "Conversation" ADD CONSTRAINT "Conversation_senderId_fkey" FOREIGN KEY ("senderId") REFERENCES "User" ("id") ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE "Document" ADD CONSTRAINT "Document_freelanceId_fkey" FOREIGN KEY ("freelanceId") REFERENCES "Freelance" ("id") ON UPDATE CASCADE ON DELETE SET NULL;
ALTER TABLE "Document" ADD CONSTRAINT "Document_invoiceId_fkey" FOREIGN KEY ("invoiceId") REFERENCES "Invoice" ("id") ON UPDATE CASCADE ON DELETE SET NULL;
ALTER TABLE "Document" ADD CONSTRAINT "Document_quoteId_fkey" FOREIGN KEY ("quoteId") REFERENCES "Quote" ("id") ON UPDATE CASCADE ON DELETE SET NULL;
ALTER TABLE "Document" ADD CONSTRAINT "Document_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User" ("id") ON UPDATE CASCADE ON DELETE SET NULL;
ALTER TABLE "Freelance" ADD CONSTRAINT "Freelance_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User" ("id") ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE "Invoice" ADD CONSTRAINT "Invoice_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES "Project" ("id") ON UPDATE CASCADE ON DELETE SET NULL;
ALTER TABLE "Invoice" ADD CONSTRAINT "Invoice_quoteId_fkey" FOREIGN KEY ("quoteId") REFERENCES "Quote" ("id") ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE "JobPosting" ADD CONSTRAINT "JobPosting_companyId_fkey" FOREIGN KEY ("companyId") REFERENCES "Company" ("id") ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE "Message" ADD CONSTRAINT "Message_conversationId_fkey" FOREIGN KEY ("conversationId") REFERENCES "Conversation" ("id") ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE "Message" ADD CONSTRAINT "Message_documentId_fkey" FOREIGN KEY ("documentId") REFERENCES "Document" ("id") ON UPDATE CASCADE ON DELETE SET NULL;
ALTER TABLE "Message" ADD CONSTRAINT "Message_receiverId_fkey" FOREIGN KEY ("receiverId") REFERENCES "User" ("id") ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE "Message" ADD CONSTRAINT "Message_senderId_fkey" FOREIGN KEY ("senderId") REFERENCES "User" ("id") ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE "Project" ADD CONSTRAINT "Project_companyId_fkey" FOREIGN KEY ("companyId") REFERENCES "Company" ("id") ON UPDATE CASCADE ON DELETE SET NULL;
ALTER TABLE "Project" ADD CONSTRAINT "Project_conversationId_fkey" FOREIGN KEY ("conversationId") REFERENCES "Conversation" ("id") ON UPDATE CASCADE ON DELETE SET NULL;
ALTER TABLE "Project" ADD CONSTRAINT "Project_freelanceId_fkey" FOREIGN KEY ("freelanceId") REFERENCES "Freelance" ("id") ON UPDATE CASCADE ON DELETE SET NULL;
ALTER TABLE "Project" ADD CONSTRAINT "Project_jobPostingId_fkey" FOREIGN KEY ("jobPostingId") REFERENCES "JobPosting" ("id") ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE "Quote" ADD CONSTRAINT "Quote_checkpointId_fkey" FOREIGN KEY ("checkpointId") REFERENCES "Checkpoint" ("id") ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE "_FreelanceToSkill" ADD CONSTRAINT "_FreelanceToSkill_A_fkey" FOREIGN KEY ("A") REFERENCES "Freelance" ("id") ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE "_FreelanceToSkill" ADD CONSTRAINT "_FreelanceToSkill_B_fkey" FOREIGN KEY ("B") REFERENCES "Skill" ("id") ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE "_JobPostingToSkill" ADD CONSTRAINT "_JobPostingToSkill_A_fkey" FOREIGN KEY ("A") REFERENCES "JobPosting" ("id") ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE "_JobPostingToSkill" ADD CONSTRAINT "_JobPostingToSkill_B_fkey" FOREIGN KEY ("B") REFERENCES "Skill" ("id") ON UPDATE CASCADE ON DELETE CASCADE;
